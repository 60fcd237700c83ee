"""FAULT's answer: where the firmware was when it crashed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pytest_quantcheck.rig.messages.fields import U32, OrNone, Truth
from pytest_quantcheck.rig.messages.message import Message
from pytest_quantcheck.rig.messages.numbers import Kind


@dataclass(frozen=True)
class CrashRecord(Message):
    """Where the firmware was when it crashed last (LINK.md, FAULT).

    ``cause`` is the port's: the exception number or mcause, the signal on a host. ``operators`` were
    finished in the run that crashed; None when none was under way.
    """

    held: Annotated[bool, Truth(4)]
    cause: Annotated[int, U32]
    pc: Annotated[int, U32]
    address: Annotated[int, U32]
    link_register: Annotated[int, U32]
    request: Annotated[int, U32]
    operators: Annotated[int | None, OrNone(4)]
    boot_count: Annotated[int, U32]

    def __str__(self) -> str:
        name = Kind(self.request).name if self.request in list(Kind) else f"request {self.request:#x}"
        where = "" if self.operators is None else f", in operator {self.operators} of the image"
        return (
            f"crash while it handled {name}{where}: cause {self.cause:#x}, pc {self.pc:#010x}, "
            f"address {self.address:#010x}, return address {self.link_register:#010x}"
        )

"""What an inference brings: RUN, READ, the records of operators."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntFlag
from typing import Annotated

from pytest_quantcheck.rig.messages.fields import COUNT, U32, Flags, Padded, Rest
from pytest_quantcheck.rig.messages.message import Message
from pytest_quantcheck.rig.messages.numbers import Capability


class RunFlag(IntFlag):
    """``DISTURBED``: bytes came in meanwhile, so interrupts may be counted too."""

    STOPPED = 1
    DISTURBED = 2
    INLINED = 4


@dataclass(frozen=True)
class RunAnswer(Message):
    """One inference (LINK.md, RUN).

    ``counter`` is in the unit that HELLO names and holds nothing but the runtime's invoke.
    ``operators`` were finished, of ``records`` there is a record. ``data`` holds the outputs when they
    were sent along.
    """

    flags: Annotated[RunFlag, Padded(Flags(1, RunFlag), 3)]
    operators: Annotated[int, U32]
    counter: Annotated[int, COUNT]
    stack_bytes: Annotated[int, U32]
    records: Annotated[int, U32]
    data: Annotated[bytes, Rest()]

    HEADER_BYTES = 24

    @property
    def stopped(self) -> bool:
        """Whether it stopped behind the operator that was asked for."""
        return RunFlag.STOPPED in self.flags

    @property
    def disturbed(self) -> bool:
        """Whether the counter cannot be believed."""
        return RunFlag.DISTURBED in self.flags

    @property
    def inlined(self) -> bool:
        """Whether all outputs were sent along."""
        return RunFlag.INLINED in self.flags

    def contradiction(self) -> str:
        if self.records > self.operators:
            return f"{self.records} records of {self.operators} operators"
        if self.operators and not self.counter:
            return f"{self.operators} operators were finished, and the counter stood still"
        return ""

    def result(self, outputs: tuple[bytes, ...]) -> RunResult:
        """With the outputs, wherever they came from."""
        return RunResult(self.counter, self.operators, self.records, self.stack_bytes, self.stopped, outputs)


@dataclass(frozen=True)
class RunResult:
    """What is left of it for callers; ``outputs`` is empty after a run that was stopped."""

    counter: int
    operators: int
    records: int
    stack_bytes: int
    stopped: bool
    outputs: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class ReadAnswer(Message):
    """A part of an object of ``total`` bytes (LINK.md, READ)."""

    total: Annotated[int, U32]
    data: Annotated[bytes, Rest()]

    HEADER_BYTES = 4


@dataclass(frozen=True)
class OperatorResult(Message):
    """What one operator did: ``index`` in the image, ``source_index`` in the model it came from.

    ``crc32`` is over its output in the source layout; it and ``counter`` are None where the
    runtime cannot tell. ``nbytes`` is the size of the output.
    """

    index: Annotated[int, U32]
    source_index: Annotated[int, U32]
    crc32: Annotated[int | None, U32]
    nbytes: Annotated[int, U32]
    counter: Annotated[int | None, COUNT]

    def as_far_as(self, capabilities: Capability) -> OperatorResult:
        """The record of a runtime with these capabilities: what it cannot tell becomes None."""
        return replace(
            self,
            crc32=self.crc32 if Capability.OPERATOR_CRC in capabilities else None,
            counter=self.counter if Capability.PROFILE in capabilities else None,
        )

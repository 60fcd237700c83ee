"""A board with somebody else's firmware, whatever it speaks: asked who it is, restarted once if it is silent.

Nothing is flashed: the firmware is on the board, and nobody here has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.open_board import OpenBoard
from pytest_quantcheck.rig.protocols.transport import Transport
from pytest_quantcheck.wording import clipped

Device = TypeVar("Device")
Identity = TypeVar("Identity")
_SHOWN = 4  # of what changed


class ForeignBoard(OpenBoard, Generic[Device, Identity]):
    """``Device``: what its protocol can do, as methods. ``Identity``: what it says of itself, a dataclass."""

    ASKING = "ask who is there"

    def __init__(self, entry: BoardEntry, **how: Any) -> None:
        """Arguments as of ``OpenBoard``."""
        self._device: Device | None = None
        self._identity: Identity | None = None
        super().__init__(entry, **how)

    @property
    def device(self) -> Device:
        """What it can do."""
        assert self._device is not None, "bring_up() comes first"
        return self._device

    @property
    def identity(self) -> Identity:
        """Who answered."""
        assert self._identity is not None, "bring_up() comes first"
        return self._identity

    def bring_up(self) -> None:
        """Ask who is there, also of a board that has answered before: it may have been flashed meanwhile.
        Restart a silent board once.
        """
        try:
            self._ask(self.deadlines.reset)
        except RigFault as fault:
            if fault.kind != "link":
                raise
            self.restart()
            self._ask(self.deadlines.boot)

    def require(self, checked: Identity) -> None:
        """``RigFault`` where what answered last is not all that ``checked`` said, field by field."""
        if changes := list(_changes(checked, self.identity)):
            raise self.fault(
                "protocol",
                f"the device is not the one that was checked: {'; '.join(changes[:_SHOWN])}",
                "compare what the device says of itself with what it said before",
                remedy="flash no board while it is in use; run the test again",
            )

    def restart(self, *, power: bool = False) -> None:
        """As ``OpenBoard``; a board that nobody here can restart is asked again as it is."""
        try:
            super().restart(power=power)
        except RigFault as fault:
            self.log.note(f"not restarted: {fault.reason}")
            self.disconnect()

    def disconnect(self) -> None:
        """Close the console."""
        self._device = None
        super().disconnect()

    def device_on(self, transport: Transport) -> Device:
        """The device behind ``transport``, nothing asked yet."""
        raise NotImplementedError

    def asked(self, device: Device, seconds: float) -> Identity:
        """What ``device`` says of itself, within ``seconds`` of silence.

        Raises ``RigFault``, also where that is not what the inventory expects.
        """
        raise NotImplementedError

    def _ask(self, seconds: float) -> None:
        transport = self.open_console() if self._device is None else None
        try:
            with self.stage(self.ASKING):
                if transport is not None:
                    if hasattr(transport, "baudrate"):
                        transport.baudrate = self.entry.baud
                    self._device = self.device_on(transport)
                self._identity = self.asked(self.device, seconds)
        except BaseException:
            self.disconnect()
            raise


def _changes(before: Any, now: Any, path: str = "") -> Iterator[str]:
    """What two values of one type differ in, down to the fields of dataclasses."""
    if is_dataclass(before):
        for field in fields(before):
            name = f"{path}.{field.name}" if path else field.name
            yield from _changes(getattr(before, field.name), getattr(now, field.name), name)
    elif isinstance(before, tuple) and len(before) == len(now):
        for number, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from _changes(one, other, f"{path}[{number}]")
    elif before != now:
        yield f"{path} was {clipped(repr(before), 80)}, is {clipped(repr(now), 80)}"

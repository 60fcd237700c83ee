"""A board with somebody else's firmware, whatever it speaks: asked who it is, restarted once if it is silent.

Nothing is flashed: the firmware is on the board, and nobody here has it.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.open_board import OpenBoard
from pytest_quantcheck.rig.protocols.transport import Transport

Device = TypeVar("Device")
Identity = TypeVar("Identity")


class ForeignBoard(OpenBoard, Generic[Device, Identity]):
    """``Device``: what its protocol can do, as methods. ``Identity``: what it says of itself."""

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
        """Ask who is there; restart a silent board once."""
        if self._device is not None:
            return
        try:
            self._connect(self.deadlines.reset)
        except RigFault as fault:
            if fault.kind != "link":
                raise
            self.restart()
            self._connect(self.deadlines.boot)

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

    def asked(self, transport: Transport, seconds: float) -> tuple[Device, Identity]:
        """The device behind ``transport`` and what it says of itself, within ``seconds`` of silence.

        Raises ``RigFault``, also where that is not what the inventory expects.
        """
        raise NotImplementedError

    def _connect(self, seconds: float) -> None:
        transport = self.open_console()
        try:
            with self.stage(self.ASKING):
                if hasattr(transport, "baudrate"):
                    transport.baudrate = self.entry.baud
                device, self._identity = self.asked(transport, seconds)
        except BaseException:
            self.disconnect()
            raise
        self._device = device

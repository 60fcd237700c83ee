"""A serial port, and the lab's own commands to restart what is behind it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware import FirmwareImage
from pytest_quantcheck.rig.protocols.transport import Transport
from rigs.common.lab_command import run_lab_command
from rigs.common.serial_port import BACK_SECONDS, explained, open_serial


class SerialBoard:
    """A board of which only the port is known."""

    def __init__(self, entry: BoardEntry) -> None:
        self.entry = entry
        self._absent = 0.0  # seconds that its port may be off the bus

    @property
    def firmware(self) -> FirmwareImage:
        """Nobody here has it. ``UsageError``."""
        raise self._unknown()

    def flash(self, segments: Sequence[tuple[int, bytes]]) -> int:  # noqa: ARG002
        """Nobody here can. ``UsageError``."""
        raise self._unknown()

    def open_port(self) -> Transport:
        """The console at 115200 baud, its lines low, so that a board that is reset by them is not."""
        url, name = self.entry.port, self.entry.name
        port: Transport = explained(
            lambda: open_serial(url, lines_low=True), url=url, board=name, kind="link", patience=self._absent
        )
        return port

    def reset(self) -> None:
        """The inventory's ``reset`` command."""
        self._run("reset")

    def power_cycle(self) -> None:
        """The inventory's ``power_cycle`` command, else ``reset``."""
        self._run("power_cycle" if self.entry.power_cycle else "reset")

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _run(self, key: str) -> None:
        if not run_lab_command(self.entry, key):
            raise RigFault(
                "boot",
                f'nobody here knows how to restart it; name a command in the inventory: {key} = "..."',
                board=self.entry.name,
            )
        self._absent = BACK_SECONDS

    def _unknown(self) -> UsageError:
        return UsageError(f"{self.entry.where}: board {self.entry.name!r} has no flash tool")

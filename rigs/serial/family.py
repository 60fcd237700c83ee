"""Boards of any chip with a firmware from elsewhere. What is not known of the chip is not done to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.protocols.board import Board


class SerialFamily:
    """Any board with a serial port and ``firmware = "external"``; its target is a name of your own.

    ``[board.settings]``: none.
    """

    name = "serial"

    def targets(self) -> Sequence[str]:
        return ()

    def virtual_boards(self) -> Sequence[BoardEntry]:
        return ()

    def scan(self) -> Sequence[BoardEntry]:
        """None: a port does not say what is behind it."""
        return ()

    def check(self, entry: BoardEntry) -> None:
        """Nothing can be flashed, nothing set."""
        if entry.firmware != "external" or entry.by_model:
            raise UsageError(
                f'{entry.where}: board {entry.name!r} of the family serial needs firmware = "external": '
                "nobody here knows how to flash it"
            )
        entry.check_settings((), "none")

    def open(self, entry: BoardEntry, log_dir: Path) -> Board:  # noqa: ARG002
        """Nothing is opened before the console is."""
        from rigs.serial.board import SerialBoard

        self.check(entry)
        return SerialBoard(entry)

"""What a family's plug-in must say: its targets, the boards it finds, and how to open one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.protocols.board import Board

TARGET = "posix"


class PosixFamily:
    """The firmware as a process of this machine.

    Settings of an inventory's entry: ``runtime`` (``engine`` or a folder of ``firmware/runtimes``),
    ``flash`` (a file that keeps the flash between sessions), ``max_baud``, ``pool`` (bytes of RAM).
    """

    name = "posix"

    def targets(self) -> Sequence[str]:
        return (TARGET,)

    def virtual_boards(self) -> Sequence[BoardEntry]:
        return ()

    def scan(self) -> Sequence[BoardEntry]:
        return ()

    def check(self, entry: BoardEntry) -> None:
        """Its settings; the name of a target costs nothing before the board is opened."""
        known = ("flash", "max_baud", "pool", "runtime")
        entry.check_settings(known, ", ".join(known))

    def open(self, entry: BoardEntry, log_dir: Path) -> Board:
        """Compile the firmware where that is needed, then start it; its console is a pty."""
        from rigs.posix.board import PosixBoard

        if entry.target != TARGET:
            raise UsageError(f"{entry.where}: target {entry.target!r} is not known; allowed: {TARGET}")
        self.check(entry)
        return PosixBoard(entry, log_dir)

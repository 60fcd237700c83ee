"""What a chip family's plug-in promises."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.protocols.board import Board


class Family(Protocol):
    """The object that an entry point of the group ``quantcheck.rigs`` names."""

    name: str

    def targets(self) -> Sequence[str]:
        """Names that ``target`` may take, for checks and messages (others may still be accepted)."""

    def virtual_boards(self) -> Sequence[BoardEntry]:
        """Every board this family offers without hardware; these targets need no port in ``boards.toml``.

        ``--qc-rig virtual`` has those whose name begins with ``virtual-``.
        """

    def scan(self) -> Sequence[BoardEntry]:
        """Boards found on this machine's USB ports; never opens or resets one."""

    def open(self, entry: BoardEntry, log_dir: Path) -> Board:
        """Take a board into use (its lease is held). For a virtual one: start its process."""

"""What a chip family promises whose virtual boards need tools that may be missing."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pytest_quantcheck.rig.entry import BoardEntry


@runtime_checkable
class Needy(Protocol):
    """Optional beside ``Family``: without it a missing tool is an error when the board is opened."""

    def missing(self, entry: BoardEntry) -> str:
        """What ``entry``, a virtual board, needs and this machine lacks, with the remedy; else empty."""

"""What a chip family promises that knows a wrong inventory when it reads one."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pytest_quantcheck.rig.entry import BoardEntry


@runtime_checkable
class Checking(Protocol):
    """Optional beside ``Family``: without it a wrong entry is an error when its board is opened."""

    def check(self, entry: BoardEntry) -> None:
        """``UsageError`` for a target or a setting that the family does not know. Opens nothing."""

"""Promises to break on purpose. Only virtual boards do."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.protocols.board import Board

LINE_FAULTS = ("flip", "drop", "duplicate", "delay", "mute", "overrun")
FLASH_FAULTS = ("stick", "power_loss")
BOARD_FAULTS = ("hang", "crash", "die")
HEAL = "heal"


@runtime_checkable
class Misbehaving(Protocol):
    """Breaks when it is told to. A family may lack some of the faults and have others (docs/boards.md)."""

    def misbehave(self, fault: str, **how: object) -> None:
        """Break until ``heal``, which ends all faults, or a power cycle.

        ``UsageError`` for a fault or an argument that the board does not know.
        """


def misbehaving(board: Board) -> Misbehaving:
    """``board`` as one that can be told to break; ``UsageError`` for a real one."""
    if isinstance(board, Misbehaving):
        return board
    raise UsageError(f"{board.entry.name} is a real board and cannot be told to misbehave; use a virtual one")

"""Promises an estimate of clock cycles. Virtual boards with a cycle model do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

LOW, HIGH, INSTRUCTIONS = "low", "high", ""


@dataclass(frozen=True)
class Clock:
    """``hz`` of the chip that is estimated; ``margin``: by what fraction the model itself may be wrong."""

    hz: int
    margin: float


@runtime_checkable
class Metered(Protocol):
    """Its counter can show what a chip would take, at best and at worst."""

    def meter(self, bound: str, target: str = "") -> Clock | None:
        """From now on count clock cycles, ``low`` or ``high``, of ``target`` (empty: its own chip), or
        instructions again. A restart of the board counts instructions. None: it has no model of cycles.
        Raises ``RigFault``.
        """

"""Promises two ways to start the application again, with the console closed."""

from __future__ import annotations

from typing import Protocol


class Resettable(Protocol):
    """Has a reset line, or something that does the same."""

    def reset(self) -> None:
        """Restart the application. Raises ``RigFault``."""


class PowerCycled(Protocol):
    """Can be brought back when a reset does not help."""

    def power_cycle(self) -> None:
        """The strongest restart there is: off and on; for a process a new one with the same flash.

        A real board without a switch does no more than a reset. Raises ``RigFault``.
        """

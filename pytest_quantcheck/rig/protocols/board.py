"""What a session needs of a board."""

from __future__ import annotations

from typing import Protocol

from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.protocols.console import Console
from pytest_quantcheck.rig.protocols.flasher import Flasher
from pytest_quantcheck.rig.protocols.restart import PowerCycled, Resettable


class Board(Console, Flasher, Resettable, PowerCycled, Protocol):
    """A board in somebody's hands, from lease to release.

    The session closes the console before ``flash``, ``reset`` and ``power_cycle`` and opens it again
    afterwards, so one port may serve both the flash tool and the console.
    """

    entry: BoardEntry

    def close(self) -> None:
        """Give everything back: ports, probes, processes. Harmless when repeated."""

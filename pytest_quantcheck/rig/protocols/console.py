"""Promises a console."""

from __future__ import annotations

from typing import Protocol

from pytest_quantcheck.rig.protocols.transport import Transport


class Console(Protocol):
    """The firmware talks through a port."""

    def open_port(self) -> Transport:
        """Open it at 115200 baud without resetting the chip. Raises ``RigFault``."""

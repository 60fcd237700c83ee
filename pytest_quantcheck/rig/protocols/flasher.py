"""Promises to write flash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pytest_quantcheck.rig.firmware import FirmwareImage


class Flasher(Protocol):
    """Its flash can be written, with the console closed."""

    @property
    def firmware(self) -> FirmwareImage:
        """The firmware that should be in its flash. Raises ``UsageError``."""

    def flash(self, segments: Sequence[tuple[int, bytes]]) -> int:
        """Write ``(address, bytes)`` to flash, verify, leave the chip reset and running.

        Returns the number of erased sectors. Nothing outside the touched sectors changes.
        Raises ``RigFault``.
        """

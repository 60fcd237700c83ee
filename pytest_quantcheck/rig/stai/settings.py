"""What the inventory says of a device with ST's validation firmware."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from pytest_quantcheck.rig.entry import BoardEntry

HEADER_BYTES = {"3.1": 1, "3.2": 2}
"""Of a packet, by the protocol's version: it must be known before anything can be asked."""


@dataclass(frozen=True)
class StaiSettings:
    """``[board.protocol_settings]``. ``network``: which of the device's networks (empty: its first).
    ``signature``: what it must say of it (empty: anything). ``version``: of the protocol.
    """

    network: str = ""
    signature: str = ""
    version: str = "3.2"

    @classmethod
    def of(cls, entry: BoardEntry) -> StaiSettings:
        """Those of ``entry``. ``UsageError`` names key, value and what is allowed."""
        where = f"{entry.where}: board {entry.name!r}"
        known = [each.name for each in fields(cls)]
        for key, value in entry.protocol_settings.items():
            if key not in known:
                raise UsageError(
                    f"{where}: [board.protocol_settings] {key} = {value!r} is not known to the protocol "
                    f"stai; allowed: {', '.join(known)}"
                )
        made = cls(**entry.protocol_settings)
        if made.version not in HEADER_BYTES:
            raise UsageError(f"{where}: version = {made.version!r}; allowed: {', '.join(HEADER_BYTES)}")
        return made

    @property
    def header_bytes(self) -> int:
        """Bytes of a packet's header."""
        return HEADER_BYTES[self.version]

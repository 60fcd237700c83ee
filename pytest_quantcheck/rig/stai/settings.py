"""What the inventory says of a device with ST's validation firmware."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from pytest_quantcheck.rig.entry import BoardEntry

HEADER_BYTES = {"3.1": 1, "3.2": 2}
"""Of a packet, by the protocol's version: it must be known before anything can be asked."""
_WORDS = ("network", "signature", "version")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class StaiSettings:
    """``[board.protocol_settings]``. ``network``: which of the device's networks (empty: its first).
    ``signature``: what it must say of it (empty: anything). ``version``: of the protocol. ``signatures``:
    what it must say of the network of one artefact, by the artefact's SHA-256 (keys of 64 hex digits).
    """

    network: str = ""
    signature: str = ""
    version: str = "3.2"
    signatures: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, entry: BoardEntry) -> StaiSettings:
        """Those of ``entry``. ``UsageError`` names key, value and what is allowed."""
        where = f"{entry.where}: board {entry.name!r}"
        given = entry.protocol_settings
        signatures = {key.lower(): value for key, value in given.items() if _SHA256.fullmatch(key)}
        plain = {key: value for key, value in given.items() if not _SHA256.fullmatch(key)}
        for key, value in plain.items():
            if key not in _WORDS:
                raise UsageError(
                    f"{where}: [board.protocol_settings] {key} = {value!r} is not known to the protocol "
                    f"stai; allowed: {', '.join(_WORDS)}, the SHA-256 of an artefact"
                )
        made = cls(**plain, signatures=signatures)
        if made.version not in HEADER_BYTES:
            raise UsageError(f"{where}: version = {made.version!r}; allowed: {', '.join(HEADER_BYTES)}")
        if made.signature and signatures:
            raise UsageError(
                f"{where}: signature = {made.signature!r} is that of one network, and others are named by "
                "the SHA-256 of their artefacts; leave one of both out"
            )
        return made

    @property
    def header_bytes(self) -> int:
        """Bytes of a packet's header."""
        return HEADER_BYTES[self.version]

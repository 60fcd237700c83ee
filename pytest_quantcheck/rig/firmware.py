"""A firmware as a flash tool wants it, with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 1 << 26
"""Of a firmware file, with what a linker writes for debuggers; no chip here has an eighth of it as flash."""


@dataclass(frozen=True)
class FirmwareImage:
    """A flat firmware image that goes to ``address``, with the facts its manifest states.

    ``build_id`` is empty for a user's own file, of which only the bytes are known.
    """

    path: Path
    build_id: str
    crc32: int
    size: int
    address: int

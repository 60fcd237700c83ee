"""Plans where the next device image goes in a board's flash store: pure arithmetic, no board is touched.

The layout of a slot is normative in ``firmware/LINK.md``.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_quantcheck.errors import ImageError
from pytest_quantcheck.rig.messages.numbers import SLOT_HEADER_BYTES

SLOT_MAGIC = int.from_bytes(b"QCS1", "little")
_HEADER = struct.Struct("<IIII32s16s")


@dataclass(frozen=True)
class StoreLayout:
    """A board's image store: where a flash tool writes it, how large it is, where slots may start (bytes)."""

    address: int
    size: int
    alignment: int


@dataclass(frozen=True)
class SlotPlan:
    """Write ``data`` at ``address``: a slot, behind it blank bytes where the store is cleared.

    ``cleared`` counts the stored images that are given up, 0 when the slot is appended.
    """

    address: int
    data: bytes
    cleared: int


def slot_bytes(image: bytes) -> bytes:
    """The slot of ``image``: 64 bytes of header, then the image as it is."""
    return (
        _HEADER.pack(
            SLOT_MAGIC, len(image), zlib.crc32(image), 0, hashlib.sha256(image).digest(), b"\xff" * 16
        )
        + image
    )


def plan_slot(image: bytes, layout: StoreLayout, occupied: Iterable[tuple[int, int]], free: int) -> SlotPlan:
    """Place ``image`` in the store, whose valid slots are ``occupied``: (offset, image bytes) each.

    It is appended at ``free``, where blank flash begins. When there is no room the whole store is
    cleared and filled from its start again: so every sector is erased once in a round, and two
    images in turn do not erase each other. Raises ``ImageError`` when the image is larger than
    the whole store.
    """
    data = slot_bytes(image)
    if len(data) > layout.size:
        raise ImageError(
            f"model too big: the image has {len(image)} bytes, the board's image store holds "
            f"{max(layout.size - SLOT_HEADER_BYTES, 0)}"
        )
    taken = list(occupied)
    ends = [offset + SLOT_HEADER_BYTES + size for offset, size in taken]
    start = _align(max([free, *ends]), layout.alignment)
    if start + len(data) <= layout.size:
        return SlotPlan(layout.address + start, data, 0)
    used = min(start, layout.size)
    return SlotPlan(layout.address, data.ljust(used, b"\xff"), len(taken))


def _align(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment

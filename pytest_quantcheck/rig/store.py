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

SLOT_MAGIC = int.from_bytes(b"QCS1", "little")
SLOT_HEADER_BYTES = 64
_HEADER = struct.Struct("<IIII32s16s")


@dataclass(frozen=True)
class StoreLayout:
    """A board's image store: where a flash tool writes it, how large it is, where slots may start (bytes)."""

    address: int
    size: int
    alignment: int


@dataclass(frozen=True)
class SlotPlan:
    """Write ``data`` (header and image) at ``address``; ``replaces`` counts stored images that this drops."""

    address: int
    data: bytes
    replaces: int


def slot_bytes(image: bytes) -> bytes:
    """The slot of ``image``: 64 bytes of header, then the image as it is."""
    return (
        _HEADER.pack(
            SLOT_MAGIC, len(image), zlib.crc32(image), 0, hashlib.sha256(image).digest(), b"\xff" * 16
        )
        + image
    )


def plan_slot(image: bytes, layout: StoreLayout, occupied: Iterable[tuple[int, int]]) -> SlotPlan:
    """Place ``image`` in the store, whose valid slots are ``occupied``: (offset, image bytes) each.

    It is appended behind the last slot, or put into a gap; only when nothing is large enough is it
    written over the oldest ones, from the start of the store. Slots behind it stay valid.
    Raises ``ImageError`` when the image is larger than the whole store.
    """
    data = slot_bytes(image)
    if len(data) > layout.size:
        raise ImageError(
            f"model too big: the image has {len(image)} bytes, the board's image store holds "
            f"{max(layout.size - SLOT_HEADER_BYTES, 0)}"
        )
    taken = sorted((offset, offset + SLOT_HEADER_BYTES + size) for offset, size in occupied)
    offset = _free_offset(len(data), layout, taken)
    if offset is None:
        offset = 0
    end = offset + len(data)
    replaces = sum(first < end and offset < last for first, last in taken)
    return SlotPlan(layout.address + offset, data, replaces)


def _free_offset(length: int, layout: StoreLayout, taken: list[tuple[int, int]]) -> int | None:
    """The last free place, so that all of the store wears evenly, else the first gap; None: full."""
    starts = [0, *(_align(last, layout.alignment) for _, last in taken)]
    limits = [*(first for first, _ in taken), layout.size]
    gaps = [start for start, limit in zip(starts, limits, strict=True) if start + length <= limit]
    if not gaps:
        return None
    return gaps[-1] if starts[-1] == gaps[-1] else gaps[0]


def _align(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment

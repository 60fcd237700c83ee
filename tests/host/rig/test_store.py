"""Planning slots of the flash store, against a model of a flash that drops what is overwritten."""

from __future__ import annotations

import hashlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.errors import ImageError
from pytest_quantcheck.rig.store import SLOT_HEADER_BYTES, StoreLayout, plan_slot, slot_bytes

pytestmark = pytest.mark.host

LAYOUT = StoreLayout(address=0x0804_0000, size=0x4_0000, alignment=0x1000)


def test_a_slot_names_size_crc_and_sha256_of_the_whole_image():
    image = bytes(range(200))
    magic, size, crc, reserved, sha = struct.unpack_from("<4sIII32s", slot_bytes(image))
    assert (magic, size, crc, reserved) == (b"QCS1", 200, zlib.crc32(image), 0)
    assert sha == hashlib.sha256(image).digest()
    assert slot_bytes(image)[48:64] == b"\xff" * 16
    assert slot_bytes(image)[SLOT_HEADER_BYTES:] == image


def test_the_first_image_goes_to_the_start_of_the_store():
    assert plan_slot(b"x" * 100, LAYOUT, []).address == LAYOUT.address


def test_the_next_image_goes_behind_the_last_one():
    plan = plan_slot(b"x" * 100, LAYOUT, [(0, 100), (0x1000, 0x1000)])
    assert (plan.address, plan.replaces) == (LAYOUT.address + 0x3000, 0)


def test_a_gap_is_used_when_there_is_no_room_at_the_end():
    plan = plan_slot(b"x" * 100, LAYOUT, [(0, 100), (0x2000, 0x3_E000 - SLOT_HEADER_BYTES)])
    assert (plan.address, plan.replaces) == (LAYOUT.address + 0x1000, 0)


def test_a_full_store_drops_only_the_images_that_are_written_over():
    plan = plan_slot(b"x" * 0x1000, LAYOUT, [(0, 0x1800), (0x2000, 0x3_E000 - SLOT_HEADER_BYTES)])
    assert (plan.address, plan.replaces) == (LAYOUT.address, 1)


def test_an_image_larger_than_the_store_is_too_big():
    with pytest.raises(ImageError, match=r"model too big: the image has 262144 bytes.*holds 262080"):
        plan_slot(b"x" * LAYOUT.size, LAYOUT, [])


@given(st.lists(st.integers(1, LAYOUT.size - SLOT_HEADER_BYTES), min_size=1, max_size=30))
def test_slots_are_aligned_inside_the_store_and_overlap_only_what_they_replace(sizes):
    slots: list[tuple[int, int]] = []
    for size in sizes:
        plan = plan_slot(bytes(size), LAYOUT, slots)
        start = plan.address - LAYOUT.address
        end = start + len(plan.data)
        assert start % LAYOUT.alignment == 0
        assert 0 <= start < end <= LAYOUT.size
        kept = [s for s in slots if s[0] >= end or s[0] + SLOT_HEADER_BYTES + s[1] <= start]
        assert len(slots) - len(kept) == plan.replaces
        assert all(not start <= offset < end for offset, _ in kept)
        slots = [*kept, (start, size)]

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
    assert plan_slot(b"x" * 100, LAYOUT, [], 0).address == LAYOUT.address


def test_the_next_image_goes_behind_the_last_one():
    plan = plan_slot(b"x" * 100, LAYOUT, [(0, 100), (0x1000, 0x1000)], 0x3000)
    assert (plan.address, plan.cleared) == (LAYOUT.address + 0x3000, 0)


def test_what_an_interrupted_write_left_behind_is_passed_over():
    assert plan_slot(b"x", LAYOUT, [(0, 100)], 0x5000).address == LAYOUT.address + 0x5000


def test_a_full_store_is_cleared_up_to_its_last_byte_in_use_and_filled_from_the_start():
    plan = plan_slot(b"x" * 0x2000, LAYOUT, [(0, 100), (0x1000, 0x3_D000)], 0x3_F000)
    assert (plan.address, plan.cleared) == (LAYOUT.address, 2)
    assert len(plan.data) == 0x3_F000
    assert set(plan.data[SLOT_HEADER_BYTES + 0x2000 :]) == {0xFF}


def test_an_image_larger_than_the_store_is_too_big():
    with pytest.raises(ImageError, match=r"model too big: the image has 262144 bytes.*holds 262080"):
        plan_slot(b"x" * LAYOUT.size, LAYOUT, [], 0)


@given(st.lists(st.integers(1, LAYOUT.size - SLOT_HEADER_BYTES), min_size=1, max_size=30))
def test_slots_are_aligned_inside_the_store_and_go_to_blank_flash_unless_it_was_full(sizes):
    flash = bytearray(b"\xff" * LAYOUT.size)
    slots: list[tuple[int, int]] = []
    for size in sizes:
        free = -(-len(flash.rstrip(b"\xff")) // LAYOUT.alignment) * LAYOUT.alignment
        plan = plan_slot(bytes(size), LAYOUT, slots, free)
        start, end = plan.address - LAYOUT.address, plan.address - LAYOUT.address + len(plan.data)
        assert start % LAYOUT.alignment == 0
        assert 0 <= start < end <= LAYOUT.size
        if plan.address != LAYOUT.address or not slots:
            assert set(flash[start:end]) == {0xFF}
            slots.append((start, size))
        else:
            assert free + SLOT_HEADER_BYTES + size > LAYOUT.size
            slots = [(0, size)]
        flash[start:end] = plan.data
        assert set(flash[slots[-1][0] + SLOT_HEADER_BYTES + slots[-1][1] :]) <= {0xFF}

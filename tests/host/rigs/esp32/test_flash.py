"""The virtual chip's flash behaves like NOR flash, also when it is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from rigs.esp32.virtual.flash import SECTOR, NorFlash, PowerLostError

pytestmark = pytest.mark.host

SIZE = 1 << 20


@pytest.fixture
def flash() -> NorFlash:
    return NorFlash(SIZE)


def test_programming_only_clears_bits(flash: NorFlash) -> None:
    flash.program(10, b"\xf0\x0f")
    flash.program(10, b"\x3c\xff")
    assert flash.read(9, 4) == b"\xff\x30\x0f\xff"


def test_erasing_sets_whole_sectors_and_nothing_else(flash: NorFlash) -> None:
    flash.program(0, b"\0" * 3 * SECTOR)
    flash.erase(SECTOR + 5, 1)
    assert flash.read(0, SECTOR) == b"\0" * SECTOR
    assert flash.read(SECTOR, SECTOR) == b"\xff" * SECTOR
    assert flash.read(2 * SECTOR, SECTOR) == b"\0" * SECTOR


def test_content_outlives_the_object(tmp_path: Path) -> None:
    NorFlash(SIZE, tmp_path / "flash").program(SIZE - 3, b"abc")
    assert NorFlash(SIZE, tmp_path / "flash").read(SIZE - 4, 4) == b"\xffabc"


@pytest.mark.parametrize("value", [0, 1])
def test_a_stuck_bit_survives_erasing_and_programming(flash: NorFlash, value: int) -> None:
    flash.stick_bit(100, 3, value)
    flash.erase(0, SECTOR)
    erased = flash.read(100, 1)[0] >> 3 & 1
    flash.program(100, b"\0")
    assert (erased, flash.read(100, 1)[0] >> 3 & 1) == (value, value)


def test_losing_power_leaves_the_bytes_before_written(flash: NorFlash) -> None:
    flash.lose_power_after(5)
    flash.program(0, b"abc")
    with pytest.raises(PowerLostError):
        flash.program(3, b"defg")
    assert flash.read(0, 7) == b"abcde\xff\xff"


@pytest.mark.parametrize(("address", "length"), [(-1, 1), (SIZE, 1), (SIZE - 1, 2)])
def test_ranges_outside_the_flash_are_refused(flash: NorFlash, address: int, length: int) -> None:
    with pytest.raises(IndexError):
        flash.read(address, length)
    with pytest.raises(IndexError):
        flash.program(address, b"\0" * length)

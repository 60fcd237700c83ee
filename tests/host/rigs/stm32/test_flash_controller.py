"""The modelled flash interface does what RM0090 chapter 3 says, and breaks the way it is told to."""

from __future__ import annotations

from mmap import mmap

import pytest

from rigs.stm32.virtual.flash_controller import (
    FLASH_SIZE,
    SECTORS,
    FlashController,
    PowerLostError,
    StuckBit,
    sector_of,
)

pytestmark = pytest.mark.host

KEYR, SR, CR = 0x04, 0x0C, 0x10
PG, SER, MER, STRT, LOCK, PSIZE_32 = 1, 2, 4, 1 << 16, 1 << 31, 2 << 8
EOP, PGPERR, PGSERR = 1, 1 << 6, 1 << 7


@pytest.fixture
def controller() -> FlashController:
    flash = mmap(-1, FLASH_SIZE)
    flash[:] = b"\xff" * FLASH_SIZE
    return FlashController(flash)


def unlock(controller: FlashController) -> None:
    controller.write_register(KEYR, 0x45670123)
    controller.write_register(KEYR, 0xCDEF89AB)


def store(controller: FlashController, offset: int, value: int, size: int = 4) -> bytes:
    """What a core's store does: ask the controller, write, settle."""
    controller.program(offset, size, value)
    controller.flash[offset : offset + size] = value.to_bytes(size, "little")
    controller.settle()
    return controller.flash[offset : offset + size]


def erase(controller: FlashController, sector: int) -> None:
    controller.write_register(CR, SER | sector << 3 | PSIZE_32)
    controller.write_register(CR, SER | sector << 3 | PSIZE_32 | STRT)


def test_a_locked_controller_ignores_its_control_register(controller: FlashController) -> None:
    controller.write_register(CR, PG)
    assert controller.read_register(CR) == LOCK


def test_a_wrong_key_locks_until_the_next_reset(controller: FlashController) -> None:
    controller.write_register(KEYR, 0x12345678)
    unlock(controller)
    assert controller.read_register(CR) & LOCK
    controller.reset()
    unlock(controller)
    assert not controller.read_register(CR) & LOCK


def test_programming_only_clears_bits(controller: FlashController) -> None:
    unlock(controller)
    controller.write_register(CR, PG | PSIZE_32)
    assert store(controller, 0x40000, 0x0F0F0F0F) == bytes.fromhex("0f0f0f0f")
    assert store(controller, 0x40000, 0xFFFFFF00) == bytes.fromhex("000f0f0f")


@pytest.mark.parametrize(
    ("control", "size", "flag"),
    [(0, 4, PGSERR), (PG, 4, PGPERR), (PG | PSIZE_32, 1, PGPERR), (PG | PSIZE_32, 2, PGPERR)],
    ids=["not enabled", "word as bytes", "byte as word", "half-word as word"],
)
def test_an_illegal_store_raises_its_flag_and_changes_nothing(
    controller: FlashController, control: int, size: int, flag: int
) -> None:
    unlock(controller)
    controller.write_register(CR, control)
    assert store(controller, 0x1000, 0, size) == b"\xff" * size
    assert controller.read_register(SR) == flag
    controller.write_register(SR, flag)
    assert controller.read_register(SR) == 0


@pytest.mark.parametrize("sector", range(len(SECTORS)))
def test_an_erase_sets_exactly_one_sector(controller: FlashController, sector: int) -> None:
    controller.flash[:] = bytes(FLASH_SIZE)
    unlock(controller)
    erase(controller, sector)
    start, size = SECTORS[sector]
    assert controller.flash[start : start + size] == b"\xff" * size
    assert controller.flash[:].count(0xFF) == size
    assert controller.read_register(SR) == EOP
    assert controller.changed == {sector}


def test_a_sector_that_does_not_exist_is_a_sequence_error(controller: FlashController) -> None:
    unlock(controller)
    erase(controller, 12)
    assert controller.read_register(SR) == PGSERR


@pytest.mark.parametrize("value", [0, 1])
def test_a_stuck_bit_survives_erasing_and_programming(controller: FlashController, value: int) -> None:
    controller.stick(StuckBit(0x20007, 5, value))
    unlock(controller)
    erase(controller, sector_of(0x20007))
    assert controller.flash[0x20007] >> 5 & 1 == value
    controller.write_register(CR, PG | PSIZE_32)
    assert store(controller, 0x20004, 0)[3] == value << 5


def test_power_is_lost_in_the_middle_and_nothing_is_written_afterwards(controller: FlashController) -> None:
    unlock(controller)
    controller.write_register(CR, PG | PSIZE_32)
    controller.lose_power_after = 8
    store(controller, 0, 0)
    store(controller, 4, 0)
    for offset in (8, 12):
        with pytest.raises(PowerLostError):
            controller.program(offset, 4, 0)
        controller.flash[offset : offset + 4] = bytes(4)
        controller.settle()
    assert controller.flash[:16] == bytes(8) + b"\xff" * 8


def test_an_erase_without_power_leaves_half_a_sector(controller: FlashController) -> None:
    controller.flash[:] = bytes(FLASH_SIZE)
    unlock(controller)
    controller.lose_power_after = 0
    with pytest.raises(PowerLostError):
        erase(controller, 0)
    assert controller.flash[: SECTORS[0][1]].count(0xFF) == SECTORS[0][1] // 2

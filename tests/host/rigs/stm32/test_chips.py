"""The chips' facts agree with each other, with pyOCD's own targets and with the firmware's linker script."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rigs.stm32.chips import CHIPS, FLASH_BASE, KIB, RAM_BASE, STORE_BASE, VIRTUAL_CHIP, Chip, sectors
from rigs.stm32.virtual.flash_controller import SECTORS

pytestmark = pytest.mark.host

LINKER_SCRIPT = Path(__file__).parents[4] / "firmware" / "ports" / "stm32f4" / "stm32f4.ld"


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.target)
def test_sectors_cover_the_flash_without_gap(chip: Chip) -> None:
    address = FLASH_BASE
    for start, size in sectors(chip):
        assert start == address
        address += size
    assert address == FLASH_BASE + chip.flash_kib * KIB


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.target)
def test_the_image_store_begins_at_a_sector(chip: Chip) -> None:
    assert STORE_BASE in [start for start, _ in sectors(chip)]


def test_the_linker_script_keeps_the_firmware_below_the_store() -> None:
    script = LINKER_SCRIPT.read_text(encoding="utf-8")
    flash = re.search(r"FLASH \(rx\) : ORIGIN = (0x\w+), LENGTH = (\d+)K", script)
    assert flash is not None
    assert int(flash[1], 16) == FLASH_BASE
    assert int(flash[1], 16) + int(flash[2]) * KIB == STORE_BASE


def test_the_modelled_flash_has_the_sectors_of_the_f405() -> None:
    chip = next(chip for chip in CHIPS if chip.target == VIRTUAL_CHIP)
    assert [(FLASH_BASE + start, size) for start, size in SECTORS] == sectors(chip)


@pytest.fixture(scope="module")
def pyocd_targets() -> dict[str, Any]:
    """pyOCD's table of targets with ours in it, without a pack."""
    pytest.importorskip("pyocd")
    from pyocd.target import TARGET

    from rigs.stm32.targets import register_targets

    register_targets()
    return dict(TARGET)


def test_a_target_is_found_in_any_case(pyocd_targets: dict[str, Any]) -> None:
    """As pyOCD looks up the ``target`` of an inventory."""
    from pyocd.target import normalise_target_type_name

    assert normalise_target_type_name("STM32F446RE") in pyocd_targets
    assert normalise_target_type_name("STM32L476RG") not in pyocd_targets


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.target)
def test_pyocd_finds_flash_and_ram_where_the_chip_has_them(pyocd_targets: dict[str, Any], chip: Chip) -> None:
    memory = pyocd_targets[chip.target].MEMORY_MAP
    for start, size in sectors(chip):
        region = memory.get_region_for_address(start)
        assert region.is_flash
        assert region.sector_size == size
    assert memory.get_boot_memory().start == FLASH_BASE
    assert memory.get_region_for_address(FLASH_BASE + chip.flash_kib * KIB) is None
    assert memory.get_region_for_address(RAM_BASE).is_ram


def test_a_target_that_pyocd_brings_stays_pyocds(pyocd_targets: dict[str, Any]) -> None:
    from pyocd.target.builtin.target_STM32F429xx import STM32F429xI

    assert pyocd_targets["stm32f429xi"] is STM32F429xI

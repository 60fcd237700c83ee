"""Facts of the ESP32 chips that our firmware runs on, and of the USB devices they are found behind."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.rig.memory import Memory

FIRMWARE_ADDRESS = 0x0  # flash offset
STORE_ADDRESS = 0x100000  # flash offset of the image store: a firmware ends before it (ports/esp32c3)
SECTOR_BYTES = 4096
FLASH_BAUD = 460800
FLASH_BAUD_MAX = 2_000_000
ESPRESSIF_VENDOR = 0x303A
BRIDGES = {  # USB-to-serial bridges that development boards carry; the chip behind may be another one
    (0x10C4, 0xEA60): "CP210x",
    (0x10C4, 0xEA71): "CP2108",
    (0x1A86, 0x7523): "CH340",
    (0x1A86, 0x55D3): "CH343",
    (0x1A86, 0x55D4): "CH9102",
    (0x0403, 0x6001): "FT232R",
    (0x0403, 0x6010): "FT2232H",
    (0x0403, 0x6014): "FT232H",
    (0x0403, 0x6015): "FT231X",
}


@dataclass(frozen=True)
class Chip:
    """One target. ``esptool_name``: what esptool calls it. ``first_revision``: the first that boots
    directly from flash, as our firmware does (major, minor). ``memory``: what our firmware leaves."""

    target: str
    esptool_name: str
    first_revision: tuple[int, int]
    memory: Memory
    clock_mhz: int = 160


# 4 MB of flash: the store begins at STORE_ADDRESS. RAM: 320 KiB less the data of the firmware, as HELLO says.
CHIPS = (Chip("esp32c3", "ESP32-C3", (0, 3), Memory(290, 3072, stack_kib=16)),)
VIRTUAL = "virtual-esp32c3"
MARGIN = 0.10  # of the cycle model, besides its interval (docs/cycles.md)


def chip_of(target: str) -> Chip:
    """The chip of a target of ours, real or virtual."""
    name = target.removeprefix("virtual-")
    return next(chip for chip in CHIPS if chip.target == name)

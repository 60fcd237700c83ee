"""Facts of the STM32F4 chips we bring target definitions for: memory and sectors, by pyOCD target name.

And of the USB devices they are found behind."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.rig.memory import Memory

KIB = 1024
FLASH_BASE = 0x08000000
RAM_BASE = 0x20000000
STORE_BASE = 0x08040000  # from here on the image store, below it the firmware (ports/stm32f4/stm32f4.ld)
FIRMWARE_RAM_KIB = 24  # stack, buffers of the link, data of the firmware
STACK_KIB = 8
PROGRAM = "qemu-system-arm"
ENGINES = ("unicorn", "qemu")  # what executes the virtual board's code
MARGIN = 0.05  # of the cycle model, besides its interval (docs/cycles.md)
VIRTUAL = "virtual-stm32f405"
VIRTUAL_CHIP = "stm32f405xg"  # what the virtual board is to pyOCD
ST_VENDOR = 0x0483
STLINKS_WITH_CONSOLE = (0x374B, 0x374E, 0x374F, 0x3752, 0x3753, 0x3754, 0x3755, 0x3757)  # V2-1 and V3


@dataclass(frozen=True)
class Chip:
    """One target. ``ram_kib`` is what lies at 0x20000000; ``ccm_kib`` at 0x10000000 (no DMA, no code).
    ``clock_mhz`` and ``wait_states`` are what our firmware sets (ports/stm32f4/chips.c)."""

    target: str
    part: str
    flash_kib: int
    ram_kib: int
    ccm_kib: int = 0
    banks: int = 1
    clock_mhz: int = 168
    wait_states: int = 5

    @property
    def memory(self) -> Memory:
        """What our firmware leaves for models."""
        firmware_flash_kib = (STORE_BASE - FLASH_BASE) // KIB
        return Memory(self.ram_kib - FIRMWARE_RAM_KIB, self.flash_kib - firmware_flash_kib, STACK_KIB)


# Reference manuals: RM0090 (F405/407/429: 2.3, 3.4), RM0368 (F401), RM0383 (F411), RM0390 (F446).
CHIPS = (
    Chip("stm32f405xg", "STM32F405xG", 1024, 128, ccm_kib=64),
    Chip("stm32f407xg", "STM32F407xG", 1024, 128, ccm_kib=64),
    Chip("stm32f401xe", "STM32F401xE", 512, 96, clock_mhz=84, wait_states=2),
    Chip("stm32f411xe", "STM32F411xE", 512, 128, clock_mhz=96, wait_states=3),
    Chip("stm32f446xe", "STM32F446xE", 512, 128),
    Chip("stm32f446re", "STM32F446RE", 512, 128),
    Chip("stm32f429xi", "STM32F429xI", 2048, 192, ccm_kib=64, banks=2),
)


def chip_of(target: str) -> Chip:
    """The chip of a target of ours, real or virtual."""
    name = VIRTUAL_CHIP if target == VIRTUAL else target
    return next(chip for chip in CHIPS if chip.target == name)


def sectors(chip: Chip) -> list[tuple[int, int]]:
    """``(address, size)`` of every erase sector: per bank 4 x 16, 1 x 64, then 128 KiB."""
    found = []
    bank_bytes = chip.flash_kib * KIB // chip.banks
    for bank in range(chip.banks):
        start = FLASH_BASE + bank * bank_bytes
        end = start + bank_bytes
        for size in (*[16 * KIB] * 4, 64 * KIB):
            found.append((start, size))
            start += size
        while start < end:
            found.append((start, 128 * KIB))
            start += 128 * KIB
    return found

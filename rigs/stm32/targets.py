"""Gives pyOCD the STM32F4 targets it lacks, without a CMSIS pack and without the network.

The flash algorithm is pyOCD's own for the F412, F429: the flash interface and the sector layout are the
same in the whole family (RM0090 3, RM0368 3, RM0383 3, RM0390 3, RM0402 3).
"""

from __future__ import annotations

from difflib import get_close_matches
from itertools import groupby
from typing import Any

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from rigs.stm32.chips import CHIPS, KIB, RAM_BASE, Chip, sectors

_PAGE = 0x1000
_CCM_BASE = 0x10000000


def register_targets() -> None:
    """Add every chip of ``chips.CHIPS`` to pyOCD's table of targets, where it is not there already.

    pyOCD must be installed; called by the probe plug-in and by ``debugger``.
    """
    from pyocd.target import TARGET

    for chip in CHIPS:
        if chip.target not in TARGET:
            TARGET[chip.target] = _target_class(chip)


def check_target(entry: BoardEntry) -> None:
    """``UsageError`` for a target that neither we, nor pyOCD, nor a pack that is installed, knows."""
    from pyocd.target import TARGET, normalise_target_type_name

    wanted = normalise_target_type_name(entry.target)
    known = {*(chip.target for chip in CHIPS), *TARGET}
    if wanted in known or wanted in (packed := _targets_of_packs()):
        return
    near = get_close_matches(wanted, sorted(known | packed), n=3)
    raise UsageError(
        f"{entry.where}: board {entry.name!r}: target = {entry.target!r} is not known to pyOCD"
        + (f"; did you mean {' or '.join(near)}?" if near else "")
        + f" A chip of a CMSIS pack needs it: pyocd pack install {entry.target}"
    )


def _targets_of_packs() -> set[str]:
    try:
        from pyocd.target.pack.pack_target import ManagedPacks

        return {str(device.part_number).lower() for device in ManagedPacks.get_installed_targets()}
    except Exception:  # pyOCD's cache of packs is not ours: a damaged one must not hide a board
        return set()


def _target_class(chip: Chip) -> type[Any]:
    from pyocd.core.memory_map import FlashRegion, MemoryMap, RamRegion
    from pyocd.coresight.coresight_target import CoreSightTarget
    from pyocd.target.builtin.target_STM32F412xx import DBGMCU, FLASH_ALGO

    regions: list[Any] = []
    for size, group in groupby(sectors(chip), key=lambda sector: sector[1]):
        members = list(group)
        regions.append(
            FlashRegion(
                start=members[0][0],
                length=size * len(members),
                sector_size=size,
                page_size=_PAGE,
                is_boot_memory=not regions,
                algo=FLASH_ALGO,
            )
        )
    regions.append(RamRegion(start=RAM_BASE, length=chip.ram_kib * KIB))
    if chip.ccm_kib:
        regions.append(RamRegion(start=_CCM_BASE, length=chip.ccm_kib * KIB))
    memory = MemoryMap(*regions)

    class STM32F4(CoreSightTarget):  # type: ignore[misc]  # pyOCD has no types
        VENDOR = "STMicroelectronics"
        PART_FAMILIES = ("STM32F4 Series",)
        MEMORY_MAP = memory

        def __init__(self, session: Any) -> None:
            super().__init__(session, memory)

        def post_connect_hook(self) -> None:
            """Keep the debug port alive in sleep; stop timers and watchdogs while halted."""
            self.write32(DBGMCU.CR, DBGMCU.CR_VALUE)
            self.write32(DBGMCU.APB1_FZ, DBGMCU.APB1_FZ_VALUE)
            self.write32(DBGMCU.APB2_FZ, DBGMCU.APB2_FZ_VALUE)

    STM32F4.__name__ = STM32F4.__qualname__ = chip.part
    return STM32F4

"""The STM32 family plug-in: which targets there are, which boards are plugged in, how to open one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from pytest_quantcheck.errors import MissingExtraError, UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.memory import Memory
from pytest_quantcheck.rig.protocols.board import Board
from rigs.common.stable_name import stable_name
from rigs.stm32.chips import CHIPS, PROGRAM, ST_VENDOR, STLINKS_WITH_CONSOLE, VIRTUAL, VIRTUAL_CHIP

_SETTINGS = frozenset({"flash", "usart", "engine"})
UNKNOWN_TARGET = "unknown"  # what `scan` prints: the person at the bench knows the chip


class STM32Family:
    """STM32F4 boards behind any probe that pyOCD knows, and one virtual board."""

    name = "stm32"

    def targets(self) -> Sequence[str]:
        """Targets we bring definitions for; any other name goes to pyOCD as it is."""
        return (*(chip.target for chip in CHIPS), VIRTUAL)

    def memory(self) -> Mapping[str, Memory]:
        """Of the targets that we bring definitions for."""
        found = {chip.target: chip.memory for chip in CHIPS}
        return {VIRTUAL: found[VIRTUAL_CHIP], **found}

    def missing(self, entry: BoardEntry) -> str:
        """pyOCD and what executes the code."""
        if find_spec("pyocd") is None:
            return 'it needs the package pyocd: pip install "pytest-quantcheck[stm32]"'
        for package in ("unicorn", "llvmlite"):
            if find_spec(package) is None:
                return f'it needs the package {package}: pip install "pytest-quantcheck[virtual]"'
        if entry.settings.get("engine") == "qemu" and shutil.which(PROGRAM) is None:
            return f"it needs the program {PROGRAM}: apt-get install qemu-system-arm"
        return ""

    def virtual_boards(self) -> Sequence[BoardEntry]:
        return (BoardEntry.built_in(VIRTUAL, self.name, "cortex-m4f"),)

    def scan(self) -> Sequence[BoardEntry]:
        """ST-LINKs with a console, then other probes pyOCD sees; their targets are for you to fill in."""
        found = _stlink_consoles(self.name)
        known = {entry.probe for entry in found}
        return (*found, *(entry for entry in _other_probes(self.name) if entry.probe not in known))

    def check(self, entry: BoardEntry) -> None:
        """Settings must be ours or pyOCD's, a target one that pyOCD can flash; where pyOCD is not installed,
        only what needs no pyOCD to be known is told.
        """
        names = ", ".join(chip.target for chip in CHIPS)
        if entry.target == UNKNOWN_TARGET:
            raise UsageError(
                f"{entry.where}: board {entry.name!r}: replace target = {UNKNOWN_TARGET!r} by the "
                f"chip's name: {names}, or any other that `pyocd list --targets` shows"
            )
        if find_spec("pyocd") is None:
            return
        if set(entry.settings) - _SETTINGS:
            from pyocd.core.options import OPTIONS_INFO

            known = {*_SETTINGS, *OPTIONS_INFO}
            entry.check_settings(known, "flash, usart, engine (virtual boards), pyOCD's session options")
        flashed = entry.firmware != "external" and entry.target not in self.targets()
        if flashed and "pack" not in entry.settings:
            from rigs.stm32.targets import check_target

            check_target(entry)

    def open(self, entry: BoardEntry, log_dir: Path) -> Board:
        """Take a board into use; for the virtual one, start its process."""
        self.check(entry)
        if entry.virtual or entry.target == VIRTUAL:
            from rigs.stm32.virtual_board import VirtualSTM32Board

            return VirtualSTM32Board(entry, log_dir)
        from rigs.stm32.board import STM32Board

        return STM32Board(entry, log_dir)


def _stlink_consoles(family: str) -> list[BoardEntry]:
    from serial.tools import list_ports

    return [
        BoardEntry(
            name=f"stlink-{(port.serial_number or 'unknown')[-8:].lower()}",
            family=family,
            target=UNKNOWN_TARGET,
            port=stable_name(port.device),
            probe=port.serial_number or "",
        )
        for port in sorted(list_ports.comports(), key=lambda each: each.device)
        if port.vid == ST_VENDOR and port.pid in STLINKS_WITH_CONSOLE
    ]


def _other_probes(family: str) -> list[BoardEntry]:
    """Debug probes without a console of their own; none when pyOCD is not installed."""
    try:
        from rigs.stm32.debugger import connected_probes
    except MissingExtraError:
        return []
    return [
        BoardEntry(
            name=f"probe-{probe.unique_id[-8:].lower()}",
            family=family,
            target=UNKNOWN_TARGET,
            probe=probe.unique_id,
        )
        for probe in connected_probes()
        if not probe.description.startswith("quantcheck ")
    ]


family = STM32Family()

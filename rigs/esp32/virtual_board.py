"""A virtual ESP32-C3 in use: a process instead of a board, the same esptool in front of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.protocols.metered import Clock
from pytest_quantcheck.temporary import OwnFolder
from rigs.esp32.board import Esp32Board
from rigs.esp32.chips import MARGIN, chip_of
from rigs.esp32.virtual.client import VirtualProcess
from rigs.esp32.virtual.port import open_virtual_port


class VirtualEsp32Board(Esp32Board):
    """A board that is a process of its own; its flash lives in a file until ``close``."""

    def __init__(self, entry: BoardEntry, log_dir: Path) -> None:
        super().__init__(entry, log_dir)
        self._folder = OwnFolder("esp32c3")
        self._process = self._start()

    @property
    def url(self) -> str:
        """The URL of the process that is running now."""
        return self._process.url

    @property
    def process(self) -> VirtualProcess:
        """The process behind this board."""
        return self._process

    @property
    def flash_file(self) -> Path:
        """The file that is its flash."""
        return self._folder.path / "flash.bin"

    def power_cycle(self) -> None:
        """End the process and start another one with the same flash."""
        self._process.end()
        self._process = self._start()

    def misbehave(self, fault: str, **how: object) -> None:
        """Break on purpose: see docs/boards-esp32.md. Faults last until ``heal`` or a power cycle."""
        if fault != "heal" or self._process.alive:
            self._process.misbehave(fault, how)

    def meter(self, bound: str, target: str = "") -> Clock:
        """Clock cycles of the ESP32-C3 instead of instructions."""
        chip = chip_of(target or self.entry.target)
        self._process.meter(bound)
        return Clock(chip.clock_mhz * 1_000_000, MARGIN)

    def ended(self) -> str:
        """How the process ended; empty while it runs."""
        return self._process.ended()

    def close(self) -> None:
        """End the process and forget its flash."""
        self._process.end()
        self._folder.cleanup()

    def _start(self) -> VirtualProcess:
        return VirtualProcess(
            self.entry.name,
            self.flash_file,
            self._log_dir / f"{self.entry.name}-process.log",
            console=self.entry.console,
        )

    def _open_serial(self) -> Any:
        return open_virtual_port(self.url)

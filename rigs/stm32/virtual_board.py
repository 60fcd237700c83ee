"""A virtual STM32F405 in use: a process instead of a board, the same pyOCD in front of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.protocols.metered import Clock
from rigs.stm32.board import STM32Board
from rigs.stm32.chips import ENGINES, MARGIN, VIRTUAL_CHIP, chip_of
from rigs.stm32.virtual.client import BoardError, VirtualBoard

if TYPE_CHECKING:
    from rigs.stm32.debugger import Access

_BOOT_SECONDS = 0.05  # as long as a real one


class VirtualSTM32Board(STM32Board):
    """``machine`` is its process."""

    def __init__(self, entry: BoardEntry, log_dir: Path) -> None:
        super().__init__(entry, log_dir)
        flash = entry.settings.get("flash")
        usart = entry.settings.get("usart", "2")
        engine = entry.settings.get("engine", ENGINES[0])
        self.machine = VirtualBoard(entry.name, log_dir, Path(flash) if flash else None, usart, engine)

    def reset(self) -> None:
        """Pull the reset line."""
        self._tell("nreset")
        time.sleep(_BOOT_SECONDS)

    def power_cycle(self) -> None:
        """Off and on: RAM is lost, flash is kept; brings back a board whose process has died."""
        try:
            self.machine.power_cycle()
        except BoardError as fault:
            raise self._fault(fault) from fault
        time.sleep(_BOOT_SECONDS)

    def misbehave(self, fault: str, **how: object) -> None:
        """Break on purpose, until ``heal`` (or for some until a reset): see docs/boards-stm32.md.

        flip, drop, duplicate, delay (``rate``, ``seed``, ``after`` so many bytes, ``count``, ``seconds``,
        ``direction`` to_board | from_board | both), mute, overrun (``limit`` bytes in ``window`` seconds),
        stick (``address``, ``bit``, ``value``), power_loss (``after_bytes`` of flash written), hang, crash,
        die, heal.
        """
        if fault != "heal" or self.machine.alive:
            self._tell("misbehave", fault, how)

    def meter(self, bound: str, target: str = "") -> Clock | None:
        """Clock cycles of any chip that we bring a definition for, instead of instructions. None: on QEMU."""
        if self.machine.engine == "qemu":
            return None
        chip = chip_of(target or VIRTUAL_CHIP)
        try:
            self.machine.call("meter", bound, chip.wait_states)
        except BoardError as fault:
            raise self._fault(fault) from fault
        return Clock(chip.clock_mhz * 1_000_000, MARGIN)

    def ended(self) -> str:
        """How its process ended, or that of the machine in it; empty while both run."""
        return self.machine.ended()

    def close(self) -> None:
        """End the process."""
        self.machine.close()

    @property
    def _url(self) -> str:
        return f"socket://127.0.0.1:{self.machine.serial_port}"

    def _tell(self, operation: str, *arguments: object) -> None:
        try:
            self.machine.call(operation, *arguments)
        except BoardError as fault:
            raise self._fault(fault) from fault

    def _fault(self, fault: BoardError) -> RigFault:
        return RigFault("boot", str(fault), board=self.entry.name, log=str(self.machine.log))

    def _access(self) -> Access:
        from rigs.stm32.debugger import Access

        return Access(self.entry.name, VIRTUAL_CHIP, self.machine.probe_id, {})

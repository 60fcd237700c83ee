"""An STM32 board in use: flashing, console, restarts.

Real and virtual boards share everything but the power switch.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import serial

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware import FirmwareImage
from pytest_quantcheck.rig.protocols.transport import Transport
from rigs.common.serial_port import open_port
from rigs.stm32 import firmware
from rigs.stm32.virtual.client import BoardError, VirtualBoard

BAUD = 115200  # what every session starts with
_READ_SECONDS = 0.05
_COMMAND_SECONDS = 60
_BOOT_SECONDS = 0.05  # until the firmware listens: what comes earlier is lost


class STM32Board:
    """A board behind a debug probe, with a serial console."""

    def __init__(self, entry: BoardEntry, log_dir: Path) -> None:
        self.entry = entry
        self._log_dir = log_dir

    @property
    def firmware(self) -> FirmwareImage:
        """The firmware this board should run."""
        return firmware.image_for(self.entry, self._log_dir)

    def flash(self, segments: Sequence[tuple[int, bytes]]) -> int:
        """Write ``(address, bytes)`` through pyOCD, verify, reset. Returns the number of erased sectors.

        What is there already is left alone and blank flash is written without an erase; a sector that
        holds something else is erased as a whole, 16 to 128 KiB, and loses what else was in it.
        """
        from rigs.stm32 import debugger

        return debugger.write_flash(self._access(), segments)

    def erase(self, address: int, size: int) -> int:
        """Erase every sector with a byte in ``[address, address + size)``, reset; returns how many."""
        from rigs.stm32 import debugger

        return debugger.erase_flash(self._access(), address, size)

    def open_port(self) -> Transport:
        """The console at 115200 baud; opening it does not reset an STM32."""
        return open_serial(self.entry.port, self.entry.name)

    def reset(self) -> None:
        """Restart the application: the inventory's ``reset`` command, else a reset over SWD."""
        if self.entry.reset:
            self._run("reset", self.entry.reset)
        else:
            from rigs.stm32 import debugger

            debugger.reset(self._access())
        time.sleep(_BOOT_SECONDS)

    def power_cycle(self) -> None:
        """The inventory's ``power_cycle`` command, else the same as ``reset``."""
        if self.entry.power_cycle:
            self._run("power_cycle", self.entry.power_cycle)
            time.sleep(_BOOT_SECONDS)
        else:
            self.reset()

    def misbehave(self, fault: str, **how: object) -> None:
        """Real boards break by themselves only."""
        del how
        raise UsageError(
            f"{self.entry.name} is a real board and cannot be told to {fault}; use a virtual one"
        )

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _access(self) -> Any:
        from rigs.stm32.debugger import Access

        return Access(self.entry.name, self.entry.target, self._probe(), self.entry.settings)

    def _probe(self) -> str:
        return self.entry.probe

    def _run(self, key: str, command: str) -> None:
        """A command of the lab's own: a relay, a hub that switches power."""
        try:
            subprocess.run(shlex.split(command), check=True, capture_output=True, timeout=_COMMAND_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            raise RigFault(
                "boot", f"the command {key} = {command!r} failed: {error}", board=self.entry.name
            ) from error


class VirtualSTM32Board(STM32Board):
    """The virtual STM32F405: a process instead of a board, the same pyOCD in front of it."""

    def __init__(self, entry: BoardEntry, log_dir: Path) -> None:
        super().__init__(entry, log_dir)
        flash = entry.settings.get("flash")
        usart = entry.settings.get("usart", "2")
        self.machine = VirtualBoard(entry.name, log_dir, Path(flash) if flash else None, usart)

    def open_port(self) -> Transport:
        return open_serial(f"socket://127.0.0.1:{self.machine.serial_port}", self.entry.name)

    def reset(self) -> None:
        self._tell("nreset")
        time.sleep(_BOOT_SECONDS)

    def power_cycle(self) -> None:
        """Off and on: RAM is lost, flash is kept; brings back a board whose process has died."""
        try:
            self.machine.power_cycle()
            time.sleep(_BOOT_SECONDS)
        except BoardError as fault:
            raise RigFault("boot", str(fault), board=self.entry.name, log=str(self.machine.log)) from fault

    def misbehave(self, fault: str, **how: object) -> None:
        """Break on purpose, until ``heal`` (or for some until a reset): see docs/boards.md.

        flip, drop, duplicate, delay (``rate``, ``seed``, ``after`` so many bytes, ``count``, ``seconds``,
        ``direction`` to_board | from_board | both), mute, overrun (``limit`` bytes in ``window`` seconds),
        stick (``address``, ``bit``, ``value``), power_loss (``after_bytes`` of flash written), hang, crash,
        die, heal.
        """
        self._tell("misbehave", fault, how)

    def close(self) -> None:
        self.machine.close()

    def _tell(self, operation: str, *arguments: object) -> None:
        try:
            self.machine.call(operation, *arguments)
        except BoardError as fault:
            raise RigFault("boot", str(fault), board=self.entry.name, log=str(self.machine.log)) from fault

    def _access(self) -> Any:
        from rigs.stm32.debugger import Access

        return Access(self.entry.name, "stm32f405xg", self.machine.probe_id, {})


def open_serial(url: str, board: str) -> Transport:
    """A console by device name or pyserial URL, opened exclusively; raises ``RigFault("link")``."""
    if not url:
        raise RigFault("link", 'the inventory names no port for it; add port = "..."', board=board)
    try:
        port = serial.serial_for_url(url, do_not_open=True)
        port.baudrate, port.timeout = BAUD, _READ_SECONDS
        if "://" not in url:
            port.exclusive = True
        open_port(port)
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise RigFault(
            "link",
            f"the port {url} cannot be opened: {error}. Close whatever else uses it (a terminal, "
            "ModemManager), check that it exists and that you may use it (group dialout)",
            board=board,
        ) from error
    return port  # type: ignore[no-any-return]

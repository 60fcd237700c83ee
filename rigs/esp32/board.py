"""An ESP32-C3 board in use: flashing, console, restarts.

Real and virtual boards share everything but the power switch.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import serial

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware import FirmwareImage
from pytest_quantcheck.rig.protocols.transport import Transport
from rigs.esp32 import firmware
from rigs.esp32.flashing import write_flash
from rigs.esp32.process import VirtualProcess
from rigs.esp32.transport import open_serial

BAUD = 115200  # what ROM, firmware and every session start with
FLASH_BAUD = 460800
_READ_SECONDS = 0.05
_COMMAND_SECONDS = 60
_RESET_PULSE_SECONDS = 0.1  # as esptool's hard reset
_REAPPEAR_SECONDS = 8.0  # USB Serial/JTAG leaves the bus at a reset and comes back
_CHIP_NAMES = {"esp32c3": "ESP32-C3", "virtual-esp32c3": "ESP32-C3"}


class Esp32Board:
    """A board on a serial port: USB bridge with the auto-reset circuit, or USB Serial/JTAG."""

    def __init__(self, entry: BoardEntry, log_dir: Path) -> None:
        self.entry = entry
        self._log_dir = log_dir
        log_dir.mkdir(parents=True, exist_ok=True)

    @property
    def firmware(self) -> FirmwareImage:
        """The firmware this board should run."""
        return firmware.image_for(self.entry)

    @property
    def url(self) -> str:
        """The serial port, as ``serial_for_url`` takes it."""
        return self.entry.port

    def flash(self, segments: Sequence[tuple[int, bytes]]) -> int:
        """Write ``(address, bytes)`` through esptool, verify, reset. Returns the number of erased sectors.

        Addresses are flash offsets at the start of a 4096-byte sector.
        """
        with self._open("flash") as port:
            return write_flash(
                port,
                segments,
                chip=_CHIP_NAMES[self.entry.target],
                baud=self._flash_baud(),
                board=self.entry.name,
                log=self._log_dir / f"{self.entry.name}-esptool.log",
            )

    def open_port(self) -> Transport:
        """The console at 115200 baud, opened with DTR and RTS low: the chip goes on running."""
        port: Transport = self._open("link")
        return port

    def reset(self) -> None:
        """Restart the application: the inventory's ``reset`` command, else EN through RTS."""
        if self.entry.reset:
            self._run("reset", self.entry.reset)
            return
        with self._open("boot") as port:
            port.rts = True
            time.sleep(_RESET_PULSE_SECONDS)
            port.rts = False

    def power_cycle(self) -> None:
        """The inventory's ``power_cycle`` command, else the same as ``reset``."""
        if self.entry.power_cycle:
            self._run("power_cycle", self.entry.power_cycle)
        else:
            self.reset()

    def misbehave(self, fault: str, **how: object) -> None:
        """Real boards break by themselves only."""
        raise UsageError(
            f"board {self.entry.name} is real; only a virtual board can be told to misbehave ({fault} {how})"
        )

    def close(self) -> None:
        """Nothing is held between calls."""

    def _flash_baud(self) -> int:
        text = self.entry.settings.get("flash_baud", str(FLASH_BAUD))
        if not text.isdigit() or not BAUD <= int(text) <= 2_000_000:
            raise UsageError(
                f"{self.entry.source or self.entry.name}: settings.flash_baud={text!r} is not a rate between "
                f"{BAUD} and 2000000"
            )
        return int(text)

    def _open(self, stage: str) -> Any:
        """The port; waits for one that is just coming back. ``RigFault(stage)`` when it cannot be had."""
        deadline = time.monotonic() + _REAPPEAR_SECONDS
        while True:
            try:
                return open_serial(self.url, baudrate=BAUD, timeout=_READ_SECONDS)
            except (serial.SerialException, OSError, ValueError) as error:
                if not _may_come_back(self.url, error) or time.monotonic() >= deadline:
                    raise RigFault(stage, _explain(self.url, error), board=self.entry.name) from error
            time.sleep(0.1)

    def _run(self, name: str, command: str) -> None:
        try:
            done = subprocess.run(
                shlex.split(command), capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise RigFault("boot", f"{name} command {command!r}: {error}", board=self.entry.name) from error
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise RigFault(
                "boot",
                f"{name} command {command!r} ended with status {done.returncode}: {said}",
                board=self.entry.name,
            )


class VirtualEsp32Board(Esp32Board):
    """A board that is a process of its own; its flash lives in a file until ``close``."""

    def __init__(self, entry: BoardEntry, log_dir: Path) -> None:
        super().__init__(entry, log_dir)
        self._folder = tempfile.TemporaryDirectory(prefix="quantcheck-esp32c3-", ignore_cleanup_errors=True)
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
        return Path(self._folder.name) / "flash.bin"

    def power_cycle(self) -> None:
        """End the process and start another one with the same flash."""
        self._process.end()
        self._process = self._start()

    def misbehave(self, fault: str, **how: object) -> None:
        """Break on purpose: see docs/boards.md. Faults last until ``heal`` or a power cycle."""
        if fault != "heal" or self._process.alive:
            self._process.misbehave(fault, how)

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


def _may_come_back(url: str, error: Exception) -> bool:
    """Whether the port is absent, as after a reset over USB, and not busy or wrong."""
    text = str(error).lower()
    absent = isinstance(error, FileNotFoundError) or getattr(error, "errno", None) == 2
    return "://" not in url and (absent or "no such file" in text) and Path(url).parent.is_dir()


def _explain(url: str, error: Exception) -> str:
    text = str(error)
    if "busy" in text.lower() or "exclusively" in text.lower() or "lock" in text.lower():
        return (
            f"port {url} is in use by another program ({text}); close it (a monitor, ModemManager), try again"
        )
    if "permission" in text.lower():
        return f"no permission for port {url} ({text}); add yourself to the port's group (Debian: dialout)"
    return (
        f"port {url or '(none given)'} cannot be opened ({text}); check `port` in boards.toml and the cable"
    )

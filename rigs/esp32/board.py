"""An ESP32 board in use: flashing, console, restarts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware import FirmwareImage
from pytest_quantcheck.rig.protocols.transport import Transport
from rigs.common.lab_command import run_lab_command
from rigs.common.serial_port import BACK_SECONDS, BAUD, explained, open_serial
from rigs.esp32.chips import FLASH_BAUD, FLASH_BAUD_MAX, chip_of
from rigs.esp32.firmware import image_for
from rigs.esp32.flashing import write_flash

_RESET_PULSE_SECONDS = 0.1  # as esptool's hard reset


class Esp32Board:
    """A board on a serial port: USB bridge with the auto-reset circuit, or USB Serial/JTAG."""

    def __init__(self, entry: BoardEntry, log_dir: Path) -> None:
        self.entry = entry
        self._log_dir = log_dir
        log_dir.mkdir(parents=True, exist_ok=True)

    @property
    def firmware(self) -> FirmwareImage:
        """The firmware this board should run."""
        return image_for(self.entry)

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
                chip=chip_of(self.entry.target),
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
        if run_lab_command(self.entry, "reset"):
            return
        with self._open("boot") as port:
            port.rts = True
            time.sleep(_RESET_PULSE_SECONDS)
            port.rts = False

    def power_cycle(self) -> None:
        """The inventory's ``power_cycle`` command, else the same as ``reset``."""
        if not run_lab_command(self.entry, "power_cycle"):
            self.reset()

    def close(self) -> None:
        """Nothing is held between calls."""

    def _flash_baud(self) -> int:
        text = self.entry.settings.get("flash_baud", str(FLASH_BAUD))
        if not text.isdigit() or not BAUD <= int(text) <= FLASH_BAUD_MAX:
            raise UsageError(
                f"{self.entry.where}: settings.flash_baud={text!r} is not a rate between "
                f"{BAUD} and {FLASH_BAUD_MAX}"
            )
        return int(text)

    def _open(self, kind: str) -> Any:
        """The port, also one that is just coming back; a ``RigFault`` of ``kind`` when it cannot be had."""
        return explained(
            self._open_serial, url=self.url, board=self.entry.name, kind=kind, patience=BACK_SECONDS
        )

    def _open_serial(self) -> Any:
        return open_serial(self.url, lines_low=True)

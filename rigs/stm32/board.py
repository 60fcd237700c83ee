"""An STM32 board in use: flashing, console, restarts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware import FirmwareImage
from pytest_quantcheck.rig.protocols.transport import Transport
from rigs.common.lab_command import run_lab_command
from rigs.common.serial_port import BACK_SECONDS, explained, open_serial
from rigs.stm32.firmware import image_for

if TYPE_CHECKING:
    from rigs.stm32.debugger import Access

_BOOT_SECONDS = 0.05  # until the firmware listens: what comes earlier is lost


class STM32Board:
    """A board behind a debug probe, with a serial console. pyOCD is imported when it is needed."""

    def __init__(self, entry: BoardEntry, log_dir: Path) -> None:
        self.entry = entry
        self._log_dir = log_dir
        self._absent = 0.0  # seconds that its port may be off the bus

    @property
    def firmware(self) -> FirmwareImage:
        """The firmware this board should run."""
        return image_for(self.entry, self._log_dir)

    def flash(self, segments: Sequence[tuple[int, bytes]]) -> int:
        """Write ``(address, bytes)`` through pyOCD, verify, reset. Returns the number of erased sectors.

        What is there already is left alone and blank flash is written without an erase; a sector that
        holds something else is erased as a whole, 16 to 128 KiB, and loses what else was in it.
        """
        from rigs.stm32.debugger import write_flash

        return write_flash(self._access(), segments)

    def erase(self, address: int, size: int) -> int:
        """Erase every sector with a byte in ``[address, address + size)``, reset; returns how many."""
        from rigs.stm32.debugger import erase_flash

        return erase_flash(self._access(), address, size)

    def open_port(self) -> Transport:
        """The console at 115200 baud; opening it does not reset an STM32."""
        url, name = self._url, self.entry.name
        port: Transport = explained(
            lambda: open_serial(url), url=url, board=name, kind="link", patience=self._absent
        )
        return port

    def reset(self) -> None:
        """Restart the application: the inventory's ``reset`` command, else a reset over SWD."""
        if not run_lab_command(self.entry, "reset"):
            from rigs.stm32.debugger import reset_target

            reset_target(self._access())
        time.sleep(_BOOT_SECONDS)

    def power_cycle(self) -> None:
        """The inventory's ``power_cycle`` command, else the same as ``reset``."""
        if run_lab_command(self.entry, "power_cycle"):
            self._absent = BACK_SECONDS  # a probe that gets its power from the same cable
            time.sleep(_BOOT_SECONDS)
        else:
            self.reset()

    def close(self) -> None:
        """Nothing stays open between calls."""

    @property
    def _url(self) -> str:
        return self.entry.port

    def _access(self) -> Access:
        from rigs.stm32.debugger import Access

        return Access(self.entry.name, self.entry.target, self.entry.probe, self.entry.settings)

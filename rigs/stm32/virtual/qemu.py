"""One run of ``qemu-system-arm`` as an STM32F405: its process, its gdbstub, its serial line."""

from __future__ import annotations

import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from pytest_quantcheck.errors import UsageError
from rigs.common.process_end import exit_code
from rigs.stm32.chips import PROGRAM
from rigs.stm32.virtual.flash_controller import FLASH_BASE
from rigs.stm32.virtual.gdbstub import GdbStub
from rigs.stm32.virtual.machine import TargetLostError

_START_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1  # prctl(2)


def require_qemu() -> str:
    """Path of QEMU; ``UsageError`` with the package to install when there is none."""
    path = shutil.which(PROGRAM)
    if path is None:
        raise UsageError(
            f'engine = "qemu" needs {PROGRAM}, which is not on PATH. '
            "Install it: apt-get install qemu-system-arm (Debian, Ubuntu), brew install qemu (macOS)"
        )
    return path


def die_with_parent(sign: signal.Signals) -> None:
    """Ask Linux to send this process ``sign`` when the thread that made it ends. Elsewhere: nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(sign), 0, 0, 0)


class Qemu(GdbStub):
    """Keeps ``Machine``'s promises through QEMU's gdbstub. ``flash`` is a file of the flash's size,
    ``usart`` (1 or 2) the console that has a cable.

    ``-icount shift=0`` makes one instruction one nanosecond of virtual time: TIM2 counts instructions.
    """

    def __init__(self, flash: Path, folder: Path, log: Path, usart: int) -> None:
        gdb, line = folder / "gdb", folder / "usart"
        cable = f"unix:{line},server=on,wait=off"
        for path in (gdb, line):
            path.unlink(missing_ok=True)
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [
                    *(require_qemu(), "-M", "netduinoplus2", "-icount", "shift=0", "-nodefaults"),
                    *("-display", "none", "-monitor", "none"),
                    *("-device", f"loader,file={flash},addr={FLASH_BASE:#x},force-raw=on"),
                    *("-serial", cable if usart == 1 else "null", "-serial", cable if usart == 2 else "null"),
                    *("-S", "-gdb", f"unix:{gdb},server=on,wait=off"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                preexec_fn=lambda: die_with_parent(signal.SIGKILL),
            )
        try:
            super().__init__(gdb, _START_SECONDS)
            self.line = _connect(line)
        except (OSError, TargetLostError):
            self.stop()
            raise

    def meter(self, bound: str, wait_states: int) -> None:
        del wait_states
        if bound:
            raise ValueError('engine = "qemu" counts instructions only')

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Of a process that has ended, or is just ending; None while it runs."""
        return exit_code(self._process)

    def stop(self) -> None:
        """End the process at once, as when the supply goes."""
        self._process.kill()
        self._process.wait()
        if hasattr(self, "_socket"):
            self.close()


def _connect(path: Path) -> socket.socket:
    end = time.monotonic() + _START_SECONDS
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
            return connection
        except OSError:
            connection.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.005)

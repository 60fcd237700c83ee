"""One posix board: a flash file, a process that runs what is in it, a pty between."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware import FirmwareImage
from pytest_quantcheck.rig.protocols.transport import Transport
from pytest_quantcheck.temporary import OwnFolder
from rigs.common.firmware_file import read_firmware
from rigs.common.process_end import exit_code, how_it_ended
from rigs.common.serial_port import explained, open_serial
from rigs.posix.firmware import TAG, build, read
from rigs.posix.flash import FlashFile
from rigs.posix.line import FAULTS, FaultyLine

_START_SECONDS = 10.0
_OPTIONS = {"max_baud": "--max-baud", "pool": "--pool"}


class PosixBoard:
    """A board in somebody's hands. It starts with the firmware in its flash."""

    def __init__(self, entry: BoardEntry, log_dir: Path) -> None:
        self.entry = entry
        self._folder = OwnFolder("posix")
        self._log = log_dir / f"{entry.name}.process.log"
        self._firmware = _firmware(entry)
        path = entry.settings.get("flash")
        self._flash = FlashFile(Path(path) if path else self._folder.path / "flash.bin")
        self._line: dict[str, float] = {}
        self._seed = 0
        self._process: subprocess.Popen[str] | None = None
        self._pty = ""
        try:
            if self._flash.read(0, len(TAG)) != TAG:
                self._flash.write([(self._firmware.address, read_firmware(self._firmware.path))])
            self.power_cycle()
        except BaseException:  # the next attempt needs the flash file
            self.close()
            raise

    @property
    def firmware(self) -> FirmwareImage:
        """The firmware this board should run."""
        return self._firmware

    @property
    def pid(self) -> int:
        """The process; ``RigFault`` when it is not running."""
        if self._process is None or self._process.poll() is not None:
            raise self._fault("the board's process has ended")
        return self._process.pid

    def flash(self, segments: Sequence[tuple[int, bytes]]) -> int:
        """Write, verify, restart; returns how many sectors were erased."""
        self._stop()
        erased = self._flash.write(segments)
        self.power_cycle()
        return erased

    def open_port(self) -> Transport:
        """The pty's other side."""
        _ = self.pid
        name, pty = self.entry.name, self._pty
        port = explained(lambda: open_serial(pty), url=pty, board=name, kind="link")
        return FaultyLine(port, seed=self._seed, **self._line) if self._line else port

    def reset(self) -> None:
        """A process has no reset line: the same as ``power_cycle``."""
        self.power_cycle()

    def power_cycle(self) -> None:
        """Start what is in the flash, in a process of its own. A blank flash starts nothing."""
        self._stop()
        content = self._flash.read(0, self._firmware.size)
        if not content.startswith(TAG):
            raise self._fault("there is no firmware in the flash")
        program = Path(self._folder.name) / "firmware.elf"
        program.unlink(missing_ok=True)
        program.write_bytes(content[len(TAG) :])
        program.chmod(0o700)
        options = [each for key, name in _OPTIONS.items() for each in self._option(name, key)]
        command = [str(program), "--pty", "--flash", str(self._flash.path), "--unique-id", self.entry.name]
        self._log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._log.open("a") as log:
                self._process = subprocess.Popen(
                    [*command, *options],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        except OSError as error:
            raise self._fault(f"the firmware in the flash does not start: {error}") from error
        self._pty = self._first_line()

    def misbehave(self, fault: str, **how: object) -> None:
        """Break on purpose until ``heal``.

        flip, drop, duplicate, delay (``rate``, ``seed``; for ports opened later), stick (``address``,
        ``bit``, ``value``), hang, crash, die, heal.
        """
        if fault in FAULTS:
            self._line[fault] = _number(how, "rate", 1e-3)
            self._seed = int(_number(how, "seed", 0))
        elif fault == "stick":
            place = (int(_number(how, key, 0)) for key in ("address", "bit", "value"))
            self._flash.stick(*place)
        elif fault in _SIGNALS:
            os.kill(self.pid, _SIGNALS[fault])
        elif fault == "heal":
            self._line.clear()
            self._flash.stuck.clear()
            os.kill(self.pid, signal.SIGCONT)
        else:
            known = ", ".join((*FAULTS, "stick", *_SIGNALS, "heal"))
            raise UsageError(f"{self.entry.name} cannot be told to {fault!r}; allowed: {known}")

    def ended(self) -> str:
        """How the process ended; empty while it runs, and where it was ended on purpose."""
        code = exit_code(self._process) if self._process is not None else None
        return "" if code is None else f"the board's process has ended ({how_it_ended(code)})"

    def close(self) -> None:
        """End the process; a flash file that the inventory does not name goes with it."""
        self._stop()
        self._flash.close()
        self._folder.cleanup()

    def _option(self, name: str, key: str) -> list[str]:
        value = self.entry.settings.get(key, "")
        return [name, value] if value else []

    def _first_line(self) -> str:
        """The name of the pty, which the process prints first."""
        assert self._process is not None
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            line = self._process.stdout.readline() if selector.select(_START_SECONDS) else ""
        if not line.startswith("/dev/"):
            time.sleep(0.05)
            raise self._fault(
                f"the firmware in the flash does not come up (exit code {self._process.poll()})"
            )
        return line.strip()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        process.wait(timeout=_START_SECONDS)
        if process.stdout is not None:
            process.stdout.close()

    def _fault(self, message: str) -> RigFault:
        return RigFault("boot", message, board=self.entry.name, log=str(self._log))


_SIGNALS = {"hang": signal.SIGSTOP, "crash": signal.SIGSEGV, "die": signal.SIGKILL}


def _firmware(entry: BoardEntry) -> FirmwareImage:
    """What the entry asks for: this checkout's firmware, or an image with a manifest beside it."""
    if not entry.own_firmware:
        return build(entry.settings.get("runtime", "engine"))
    return read(Path(entry.own_firmware))


def _number(how: dict[str, object], key: str, default: float) -> float:
    value = how.get(key, default)
    if not isinstance(value, int | float):
        raise UsageError(f"{key}={value!r} is not a number")
    return value

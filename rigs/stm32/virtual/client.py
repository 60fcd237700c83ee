"""Starts a virtual board's process and talks to it. Imports nothing but the standard library and ours."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import MissingExtraError, RigFault, UsageError
from pytest_quantcheck.temporary import OwnFolder
from rigs.common.flash_file import map_flash
from rigs.common.our_python import python_command
from rigs.common.process_end import exit_code, how_it_ended
from rigs.stm32.chips import ENGINES
from rigs.stm32.virtual.flash_controller import FLASH_SIZE
from rigs.stm32.virtual.qemu import require_qemu

ENVIRONMENT = "QUANTCHECK_VIRTUAL_STM32"  # "probe-id=control-socket,..." for processes of others
_START_SECONDS = 30.0
_ANSWER_SECONDS = 60.0
_numbers = itertools.count(1)
_running: dict[str, Path] = {}  # probe id -> control socket, for the pyOCD plug-in of this process


class BoardError(Exception):
    """The board could not do it. ``kind``: bus, power, lockup, usage, or gone (its process ended)."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Channel:
    """One connection to a board's control socket. Its methods are the supervisor's operations."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_ANSWER_SECONDS)
        self._lock = threading.Lock()
        self._buffer = b""
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise BoardError("gone", f"the virtual board at {path} does not answer: {error}") from error

    def call(self, operation: str, *arguments: Any) -> Any:
        """Do ``operation``; raises ``BoardError``."""
        with self._lock:
            try:
                self._socket.sendall(json.dumps([operation, *arguments]).encode() + b"\n")
                answer = self._read_line()
            except OSError as error:
                raise BoardError("gone", f"the virtual board's process is gone: {error}") from error
        if answer[0] == "ok":
            return answer[1]
        raise BoardError(answer[1], answer[2])

    def close(self) -> None:
        self._socket.close()

    def _read_line(self) -> list[Any]:
        while b"\n" not in self._buffer:
            data = self._socket.recv(1 << 18)
            if not data:
                raise ConnectionResetError("it closed the connection")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: list[Any] = json.loads(line)
        return answer


def announced_probes() -> dict[str, Path]:
    """Probe ids of the virtual boards this process runs, and of those its environment names."""
    named = {}
    for item in os.environ.get(ENVIRONMENT, "").split(","):
        name, equals, path = item.partition("=")
        if equals:
            named[name.strip()] = Path(path.strip())
    return {**named, **_running}


def _temporary_folder() -> Path:
    """Where sockets can live: a unix socket's path has about 100 bytes at most (unix(7))."""
    usual = tempfile.gettempdir()
    return Path(usual if len(usual) < 50 else "/tmp")


class VirtualBoard:
    """A virtual board's process.

    ``flash`` is the file that is its flash, made when missing; None: a new blank chip. ``usart`` is
    the console that its serial port is wired to, ``engine`` what executes its code.
    """

    def __init__(
        self, name: str, log_dir: Path, flash: Path | None = None, usart: str = "2", engine: str = ENGINES[0]
    ) -> None:
        if usart not in ("1", "2"):
            raise UsageError(f"{name}: settings.usart={usart!r}; allowed: '1' (PA9/PA10), '2' (PA2/PA3)")
        if engine not in ENGINES:
            raise UsageError(f"{name}: settings.engine={engine!r}; allowed: {', '.join(map(repr, ENGINES))}")
        if engine == "qemu":
            require_qemu()
        if not hasattr(socket, "AF_UNIX"):
            raise UsageError(f"{name} needs Linux or macOS; on Windows use virtual-esp32c3 or real boards")
        if flash is not None:
            map_flash(flash, FLASH_SIZE).close()
        self._usart, self.engine = usart, engine
        self.probe_id = f"{name}-{os.getpid()}-{next(_numbers)}"
        self._name = name
        self._folder = OwnFolder("stm32", _temporary_folder())
        self._home = self._folder.path
        self._flash = (flash or self._home / "flash.bin").absolute()
        self.log = log_dir / f"{name}-board.log"  # its own story: power, lockups, what it was told to do
        log_dir.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self.serial_port = 0
        self.control = self._home / "control"
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and exit_code(self._process) is None

    def call(self, operation: str, *arguments: Any) -> Any:
        """An operation of the supervisor; a usage fault becomes ``UsageError``, others ``BoardError``."""
        if self._channel is None:
            raise BoardError("gone", f"{self._name} is closed")
        try:
            return self._channel.call(operation, *arguments)
        except BoardError as fault:
            if fault.kind == "usage":
                raise UsageError(f"{self._name}: {fault}") from fault
            raise

    def ended(self) -> str:
        """How the board's process ended, or the machine's in it; empty while both run."""
        code = exit_code(self._process) if self._process is not None else None
        if code is not None:
            return f"the virtual board's process has ended ({how_it_ended(code)})"
        with contextlib.suppress(BoardError):
            return str(self.call("status")["death"])
        return ""

    def power_cycle(self) -> None:
        """Off and on; when the process has died, a new one with the same flash."""
        try:
            self.call("power_cycle")
        except BoardError as fault:
            if fault.kind != "gone":
                raise
            self._stop()
            self._start()

    def close(self) -> None:
        """End the process; a flash file of the caller's stays."""
        self._stop()
        self._folder.cleanup()

    def _start(self) -> None:
        folder = self._home / str(next(_numbers))
        folder.mkdir()
        options = ["--flash", str(self._flash), "--log", str(self.log), "--parent", str(os.getpid())]
        options += ["--home", str(self._home), "--usart", self._usart, "--engine", self.engine]
        with self.log.open("ab") as errors:
            self._process = subprocess.Popen(
                python_command("rigs.stm32.virtual.supervisor", [str(folder), *options]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is the parent's; it closes its boards in its own time
            )
        self.serial_port = self._wait_until_ready()
        self.control = folder / "control"
        self._channel = Channel(self.control)
        _running[self.probe_id] = self.control

    def _wait_until_ready(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        timer = threading.Timer(_START_SECONDS, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            story = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
            if "MissingExtraError" in story:
                raise MissingExtraError("unicorn", "virtual", "the virtual STM32F405")
            raise RigFault("boot", f"the virtual board's process did not start:\n{story}", board=self._name)
        port: int = json.loads(line)["port"]
        return port

    def _stop(self) -> None:
        _running.pop(self.probe_id, None)
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            with contextlib.suppress(OSError):
                self._process.stdin.write(b"\n")
                self._process.stdin.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
            self._process = None

"""Starts, commands and ends the process of a virtual board, which ends with ours whatever happens."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import selectors
import socket
import subprocess
import time
from pathlib import Path
from typing import IO, Any

from pytest_quantcheck.errors import MissingExtraError, RigFault, UsageError
from rigs.common.our_python import python_command
from rigs.common.process_end import exit_code, how_it_ended

_START_SECONDS = 60.0  # under two as a rule; a first start compiles, a loaded machine takes its time
_COMMAND_SECONDS = 10.0


class VirtualProcess:
    """A running virtual ESP32-C3. ``flash`` is the file with its flash, ``log`` takes its complaints."""

    def __init__(self, name: str, flash: Path, log: Path, *, console: str = "uart") -> None:
        for package in ("unicorn", "llvmlite"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "virtual", "the virtual ESP32-C3")
        self._name = name
        arguments = ["--heartbeat", "--flash", str(flash), "--console", console]
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            python_command("rigs.esp32.virtual.__main__", arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        try:
            self._facts = self._read_facts(log)
        except BaseException:
            self.end()
            raise

    @property
    def url(self) -> str:
        """The serial port's URL."""
        return str(self._facts["url"])

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def ended(self) -> str:
        """How the process ended, also one that is just ending; empty while it runs."""
        code = exit_code(self._process)
        return "" if code is None else f"the virtual board's process has ended ({how_it_ended(code)})"

    def misbehave(self, fault: str, how: dict[str, object]) -> None:
        """Break on purpose; ``UsageError`` for a fault or an argument that the board does not know."""
        request: dict[str, object] = {"do": "misbehave", "fault": fault, "how": how}
        if fault == "die":
            with contextlib.suppress(RigFault):  # it cannot say goodbye
                self._command(request)
            return
        reply = self._command(request)
        if not reply["ok"]:
            raise UsageError(f"board {self._name}: {reply['error']}")

    def meter(self, bound: str) -> None:
        """Count clock cycles, ``low`` or ``high``; empty: instructions."""
        reply = self._command({"do": "meter", "bound": bound})
        if not reply["ok"]:
            raise RigFault("board", str(reply["error"]), board=self._name)

    def state(self) -> dict[str, Any]:
        """The chip's mode, executed instructions, and registers touched that the model does not know."""
        return dict(self._command({"do": "state"})["state"])

    def end(self) -> None:
        """Stop the process and wait for it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _command(self, request: dict[str, object]) -> dict[str, Any]:
        host, _, port = str(self._facts["control"]).partition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=_COMMAND_SECONDS) as connection:
                lines = f"control {self._facts['token']}\n{json.dumps(request)}\n"
                connection.sendall(lines.encode())
                with connection.makefile("rb") as replies:
                    return dict(json.loads(replies.readline()))
        except (OSError, ValueError) as error:
            raise RigFault(
                "link",
                f"the virtual board's process does not answer ({error}); power_cycle() starts a new one",
                board=self._name,
            ) from error

    def _read_facts(self, log: Path) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        line = _read_line(stdout, _START_SECONDS)
        try:
            return dict(json.loads(line))
        except ValueError:
            self._process.kill()
            self._process.wait()
            said = log.read_text(errors="replace").strip().splitlines()
            raise RigFault(
                "boot",
                f"the virtual board's process did not start within {_START_SECONDS:.0f} s"
                f"{': ' + said[-1] if said else ''}",
                board=self._name,
                log=str(log),
            ) from None


def _read_line(stream: IO[bytes], seconds: float) -> bytes:
    """A line of ``stream``, or what came of it before its end or the deadline."""
    deadline, line = time.monotonic() + seconds, b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                break
            part = os.read(stream.fileno(), 4096)
            if not part:
                break
            line += part
    return line

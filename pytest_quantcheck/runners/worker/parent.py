"""A worker process as its parent sees it: started on first use or before, killed after its deadline."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pytest_quantcheck.errors import ModelError, ProcessEndedError, QuantcheckError
from pytest_quantcheck.runners.worker.messages import receive, send

_CHATTER = ("INFO: ", "WARNING: All log messages before absl")  # of LiteRT, whatever happens


class WorkerDiedError(ModelError):
    """The model crashed the interpreter; the next request starts a new process."""


class Worker:
    """One worker process; started on first use and again after it died.

    ``interpreter`` is its name in ``process.INTERPRETERS``, ``title`` what messages call it.
    """

    def __init__(self, interpreter: str, title: str) -> None:
        self.interpreter, self.title = interpreter, title
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = False
        self._stderr: Any = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The process id while the worker runs."""
        return self._process.pid if self._process is not None else None

    def infer(self, request: dict[str, Any], artefact: bytes, parts: Sequence[bytes]) -> list[bytes]:
        """Send one request and wait for its answer until the deadline.

        Raises ``ModelError`` when the interpreter refuses the model, ``WorkerDiedError`` when it dies of it,
        ``ProcessEndedError`` when somebody else ended it.
        """
        with self._lock:
            header, answer = self._exchange(request, parts)
            if "unknown" in header:
                self._exchange({**request, "verb": "learn"}, [artefact])
                header, answer = self._exchange(request, parts)
        if "error" in header:
            raise ModelError(f"{self.title} {header['error']}{self._last_words()}")
        return answer

    def close(self) -> None:
        """End the worker: it leaves when its input closes."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.close()
            process.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()
        process.stdout.close()
        self._stderr.close()

    def warm_up(self) -> None:
        """Start the process now: it imports what it needs while its parent does something else.

        Where it cannot be started the next request says why.
        """
        with self._lock, suppress(OSError):
            self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is not None and not self._asked and self._process.poll() is not None:
            self.close()  # it ended before it was asked anything: no model's fault
        if self._process is None:
            self._asked = False
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pytest_quantcheck.runners.worker.process", self.interpreter],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
            )
        return self._process

    def _exchange(
        self, request: dict[str, Any], parts: Sequence[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        process, self._asked = self._start(), True
        assert process.stdin is not None
        assert process.stdout is not None
        self._stderr.seek(0)
        self._stderr.truncate()
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(request["deadline"], give_up)
        timer.start()
        try:
            send(process.stdin, request, parts)
            return receive(process.stdout)
        except (EOFError, OSError):
            raise self._obituary(process, late.is_set(), request["deadline"]) from None
        finally:
            timer.cancel()

    def _obituary(self, process: subprocess.Popen[bytes], late: bool, deadline: float) -> QuantcheckError:
        code = process.wait()
        words = self._last_words()
        self.close()
        if late:
            return ModelError(f"{self.title} did not answer within {deadline:g} s and was ended{words}")
        if ProcessEndedError.applies_to(code):
            return ProcessEndedError(self.title, -code)
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return WorkerDiedError(
            f"{self.title} {how}: the model is damaged, or asks for something that its kernels do not "
            f"check{words}"
        )

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").splitlines()
        text = "\n".join(line for line in lines if not line.startswith(_CHATTER)).strip()
        return f"\nits last words: {text[-500:]}" if text else ""


_shared: dict[tuple[int, str], Worker] = {}


def shared_worker(interpreter: str, title: str = "") -> Worker:
    """The worker of this process for an interpreter; a forked child gets one of its own."""
    key = os.getpid(), interpreter
    if key not in _shared:
        for other in [each for each in _shared if each[0] != os.getpid()]:
            del _shared[other]
        _shared[key] = worker = Worker(interpreter, title or interpreter)
        atexit.register(worker.close)
    return _shared[key]

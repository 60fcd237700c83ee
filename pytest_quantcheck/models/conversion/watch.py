"""How long a conversion may take and how much memory, watched from outside: TensorFlow has no such limits."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

from pytest_quantcheck.errors import UsageError

TIME_LIMIT, MEMORY_LIMIT = "QC_CONVERSION_S", "QC_CONVERSION_MIB"
USUAL_S = 900
USUAL_MIB = 4096  # TensorFlow alone takes 700
_PERIOD_S = 0.1


def time_limit_s() -> int:
    """``QC_CONVERSION_S``. Raises ``UsageError``."""
    return _limit(TIME_LIMIT, USUAL_S, "seconds")


def memory_limit_mib() -> int:
    """``QC_CONVERSION_MIB``. Raises ``UsageError``."""
    return _limit(MEMORY_LIMIT, USUAL_MIB, "MiB")


def _limit(variable: str, usual: int, unit: str) -> int:
    text = os.environ.get(variable, "").strip()
    if text and not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
        raise UsageError(f"{variable}={text!r}: allowed: a whole number of {unit} from 1 (default: {usual})")
    return int(text or usual)


class Watch:
    """While it is entered, kills ``process`` when it exceeds a limit; ``exceeded`` then says which.

    Memory is what the process has resident; it is known where there is ``/proc``.
    """

    def __init__(self, process: subprocess.Popen[str], time_s: float, memory_mib: int) -> None:
        self.exceeded = ""
        self._process, self._time_s, self._memory_mib = process, time_s, memory_mib
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        end = time.monotonic() + self._time_s
        while not self._over.wait(_PERIOD_S):
            if time.monotonic() > end:
                self.exceeded = f"{self._time_s:g} s; raise the limit with the variable {TIME_LIMIT}"
            elif _resident_bytes(self._process.pid) > self._memory_mib << 20:
                self.exceeded = f"{self._memory_mib} MiB; raise the limit with the variable {MEMORY_LIMIT}"
            if self.exceeded:
                self._process.kill()
                return


def _resident_bytes(process: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0

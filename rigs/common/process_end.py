"""How a process of ours ended."""

from __future__ import annotations

import signal
import subprocess
from typing import Any

_ENDING_SECONDS = 0.2  # its sockets close a moment before it can be waited for


def exit_code(process: subprocess.Popen[Any], seconds: float = _ENDING_SECONDS) -> int | None:
    """The exit code of ``process``, which may just be ending; None while it runs."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def how_it_ended(code: int) -> str:
    """An exit code in words: ``exit code 1``, ``SIGKILL``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"

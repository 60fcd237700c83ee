"""What a board's processes take of the machine."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

WAKES_A_SECOND = 100  # awake, a firmware looks about 300 times a second whether somebody speaks
SHARE = 0.25  # of one processor; machines count a process that wakes for a moment as up to 0.1


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wakes(pid: int) -> int:
    """How often the process's threads have gone to sleep of their own will."""
    said = (each.read_text(encoding="utf-8") for each in Path(f"/proc/{pid}/task").glob("*/status"))
    return sum(int(n) for text in said for n in re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.M))


def comes_to_rest(pids: Iterable[int], window: float = 2.0, within: float = 30.0) -> bool:
    """Whether the processes, left alone, neither compute nor wake often for a whole ``window`` (seconds).

    On a busy machine a board may still be starting when the first windows pass, so several are tried:
    a board that never rests has no such window.
    """
    pids = tuple(pids)
    end = time.monotonic() + within
    while time.monotonic() < end:
        seconds, times = sum(map(cpu_seconds, pids)), sum(map(wakes, pids))
        time.sleep(window)
        quiet = sum(map(wakes, pids)) - times < WAKES_A_SECOND * window
        if quiet and sum(map(cpu_seconds, pids)) - seconds < SHARE * window:
            return True
    return False

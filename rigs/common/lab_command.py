"""The lab's own commands to restart a board: a relay, a hub that switches power."""

from __future__ import annotations

import shlex
import subprocess

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.entry import BoardEntry

_SECONDS = 60


def run_lab_command(entry: BoardEntry, key: str) -> bool:
    """Run what the inventory gives as ``key`` (``reset``, ``power_cycle``); False when it gives none.

    Raises ``RigFault`` (boot) that shows what the command said.
    """
    command = str(getattr(entry, key))
    if not command:
        return False
    try:
        done = subprocess.run(
            shlex.split(command), capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise RigFault("boot", f"{key} command {command!r}: {error}", board=entry.name) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise RigFault(
            "boot",
            f"{key} command {command!r} ended with exit status {done.returncode}: {said}",
            board=entry.name,
        )
    return True

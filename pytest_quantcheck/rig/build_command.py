"""Runs a command that may take long: bounded are its time, with all that it starts, and what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_MOST_SAID_BYTES = 1 << 24  # beyond that a command's first words are forgotten
_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 2.0  # for make to remove what is half made


def run(words: Sequence[str], *, folder: Path, said: Path, seconds: float) -> int | None:
    """Run ``words`` in ``folder``, without a shell and without input; the exit status, or None where it did
    not end within ``seconds`` and was ended, with its process group.

    Output goes to the file ``said``. The command's own end counts: what it leaves behind may keep the file
    open. Raises ``OSError`` and ``ValueError`` for what cannot be started.
    """
    deadline = time.monotonic() + seconds
    with said.open("ab") as file:  # appending: a file that is cut short is written on from its new end
        process = subprocess.Popen(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while (left := deadline - time.monotonic()) > 0:
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(min(left, _LOOK_SECONDS))
                if os.fstat(file.fileno()).st_size > _MOST_SAID_BYTES:
                    os.truncate(file.fileno(), 0)
            return None
        finally:
            if process.returncode is None:
                _end(process)


def last_words(said: Path, most: int) -> str:
    """The end of what was said, at most ``most`` characters."""
    with said.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 4 * most))
        return file.read(4 * most).decode(errors="replace").strip()[-most:]


def _end(process: subprocess.Popen[bytes]) -> None:
    """With its group, which outlives it: a make's compilers, say."""
    if sys.platform == "win32":  # written for it, untested: there is no group to end
        process.kill()
        process.wait()
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)

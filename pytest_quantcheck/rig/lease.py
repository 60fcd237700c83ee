"""Leases: a real lock per physical board, so that workers and separate runs never share one.

The lock is the operating system's (through ``filelock``): it dies with its process, so there are no
stale locks to clean up. A virtual board needs none: whoever leases it gets a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.board import BoardEntry

DIRECTORY_VARIABLE = "QC_LEASE_DIR"
_POLL_SECONDS = 0.1
_held: dict[str, str] = {}  # physical id -> board name, of this process


@dataclass(frozen=True)
class Holder:
    """Who has a board: process, what it is doing with it, since when (UTC)."""

    pid: int
    who: str
    since: str
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} for {self.who or 'no stated purpose'} since {self.since}"


class Lease:
    """One board, ours until ``release``. Made by ``acquire``; a context manager."""

    def __init__(self, entry: BoardEntry, lock: FileLock | None) -> None:
        self.entry = entry
        self._lock = lock

    def release(self) -> None:
        """Give the board back. Harmless when called twice."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        _held.pop(self.entry.physical_id, None)
        _holder_file(lock).unlink(missing_ok=True)
        lock.release()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def acquire(pool: Sequence[BoardEntry], *, who: str = "", timeout: float = 60.0) -> Lease:
    """Lease any free board of ``pool``, waiting at most ``timeout`` seconds.

    ``who`` (a test id, a command) is shown to others who wait. A process that holds a lease never
    waits for another one, since two that did so could wait for each other for ever: it takes what
    is free now or fails. Raises ``RigFault`` (lease) that names every holder.
    """
    if not pool:
        raise RigFault("lease", "there is no board to choose from")
    wait = 0.0 if _held else timeout
    deadline = time.monotonic() + wait
    while True:
        for entry in pool:
            lease = _try(entry, who)
            if lease is not None:
                return lease
        if time.monotonic() >= deadline:
            raise RigFault("lease", _busy(pool, wait), board=", ".join(entry.name for entry in pool))
        time.sleep(_POLL_SECONDS)


def holder(entry: BoardEntry) -> Holder | None:
    """Who holds ``entry`` now; None when it is free or virtual."""
    if entry.virtual:
        return None
    lock = _lock(entry)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return _read_holder(lock)
    lock.release()
    return None


def directory() -> Path:
    """Where the lock files lie: ``QC_LEASE_DIR``, else a folder of this user's in the system's place for
    temporary files. It must not depend on how the user logged in (as XDG_RUNTIME_DIR does): a job
    started by a service has to see the same locks as one typed at a terminal. A lab with several
    users on one machine names a folder that all of them may write.
    """
    given = os.environ.get(DIRECTORY_VARIABLE)
    if given:
        path = Path(given)
        path.mkdir(parents=True, exist_ok=True)
        return path
    base = Path("/tmp") if os.name == "posix" else Path(tempfile.gettempdir())
    path = base / (f"quantcheck-leases-{os.getuid()}" if os.name == "posix" else "quantcheck-leases")
    path.mkdir(mode=0o700, exist_ok=True)
    if os.name == "posix" and path.stat().st_uid != os.getuid():
        raise RigFault(
            "lease", f"{path} belongs to somebody else; set {DIRECTORY_VARIABLE} to a folder of yours"
        )
    return path


def _try(entry: BoardEntry, who: str) -> Lease | None:
    if entry.virtual:
        return Lease(entry, None)
    lock = _lock(entry)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    _held[entry.physical_id] = entry.name
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    _holder_file(lock).write_text(json.dumps(asdict(Holder(os.getpid(), who, now, socket.gethostname()))))
    return Lease(entry, lock)


def _lock(entry: BoardEntry) -> FileLock:
    """A readable name plus a digest, since physical ids contain slashes and colons."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", entry.physical_id)[-40:].strip("-")
    digest = hashlib.sha256(entry.physical_id.encode()).hexdigest()[:12]
    return FileLock(directory() / f"{readable}-{digest}.lock", thread_local=False)


def _holder_file(lock: FileLock) -> Path:
    return Path(lock.lock_file).with_suffix(".json")


def _read_holder(lock: FileLock) -> Holder | None:
    with suppress(OSError, ValueError, TypeError):
        return Holder(**json.loads(_holder_file(lock).read_text()))
    return None


def _busy(pool: Sequence[BoardEntry], waited: float) -> str:
    lines = [f"no free board after waiting {waited:g} s:"]
    for entry in pool:
        now = holder(entry)
        lines.append(f"  {entry.name} is held by {now or 'somebody who has not said who'}")
    if _held:
        lines.append(
            f"this process holds {', '.join(_held.values())} and therefore does not wait: release it first"
        )
    else:
        lines.append("wait for it, end that process, or give --qc-lease-timeout more seconds")
    return "\n".join(lines)

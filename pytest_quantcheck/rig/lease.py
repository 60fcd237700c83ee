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
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.entry import BoardEntry

DIRECTORY_VARIABLE = "QC_LEASE_DIR"
_POLL_SECONDS = 0.1
_held: list[str] = []  # the boards of this process


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

    def __init__(self, entry: BoardEntry, locks: Sequence[FileLock]) -> None:
        self.entry = entry
        self._locks = locks

    def release(self) -> None:
        """Give the board back. Harmless when called twice."""
        locks, self._locks = self._locks, ()
        if locks:
            _held.remove(self.entry.name)
        for lock in locks:
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
    is free now or fails. Raises ``RigFault`` (lease) that names every holder, ``UsageError`` for a
    timeout that is no time.
    """
    if not timeout >= 0:
        raise UsageError(f"cannot wait {timeout:g} seconds for a board; give 0 or more")
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
    for lock in _locks(entry):
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
    """All locks of a board, or none of them. Never waits while it holds one."""
    with ExitStack() as taken:
        locks = _locks(entry)
        for lock in locks:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                return None
            taken.callback(lock.release)
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        text = json.dumps(asdict(Holder(os.getpid(), who, now, socket.gethostname())))
        for lock in locks:
            _holder_file(lock).write_text(text)
        taken.pop_all()
    if locks:
        _held.append(entry.name)
    return Lease(entry, locks)


def _locks(entry: BoardEntry) -> list[FileLock]:
    """One per name of the board; none for a virtual one."""
    return [] if entry.virtual else [_lock(name) for name in entry.physical_ids]


def _lock(physical_id: str) -> FileLock:
    """A readable name plus a digest, since physical ids contain slashes and colons."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", physical_id)[-40:].strip("-")
    digest = hashlib.sha256(physical_id.encode()).hexdigest()[:12]
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
        lines.append(f"this process holds {', '.join(_held)} and therefore does not wait: release it first")
    else:
        lines.append("wait for it, end that process, or give --qc-lease-timeout more seconds")
    return "\n".join(lines)

"""Leases: a real lock per physical board, so that workers and separate runs never share one.

The lock is the operating system's (``shared_lock.py``): it dies with its process, so there are no
stale locks to clean up. A virtual board needs none: whoever leases it gets a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import stat
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.labgrid import Place
from pytest_quantcheck.rig.shared_lock import SharedLock
from pytest_quantcheck.rig.user import user_name

DIRECTORY_VARIABLE = "QC_LEASE_DIR"
_POLL_SECONDS = 0.1
_held: list[str] = []  # the boards of this process


@dataclass(frozen=True)
class Holder:
    """Who has a board: process, what it is doing with it, since when (UTC), where, and whose it is."""

    pid: int
    who: str
    since: str
    host: str
    user: str = ""

    def __str__(self) -> str:
        by = f" by {self.user}" if self.user else ""
        what = self.who or "no stated purpose"
        return f"process {self.pid}{by} on {self.host} for {what} since {self.since}"


class Lease:
    """One board, ours until ``release``. Made by ``acquire``; a context manager."""

    def __init__(self, entry: BoardEntry, locks: Sequence[SharedLock], place: Place | None = None) -> None:
        self.entry = entry
        self._locks = locks
        self._place = place

    def check(self) -> None:
        """``RigFault`` (lease) where a farm's coordinator gave the board to somebody else meanwhile."""
        if self._place is not None and (lost := self._place.taken_away()):
            raise RigFault("lease", f"{lost}; its results are worth nothing", board=self.entry.name)

    def release(self) -> None:
        """Give the board back. Harmless when called twice."""
        locks, self._locks = self._locks, ()
        place, self._place = self._place, None
        if place is not None:
            place.release()
        if locks:
            _held.remove(self.entry.name)
        for lock in locks:
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
    timeout that is no time. A board that cannot be leased at all is left out where others can.
    """
    if not timeout >= 0:
        raise UsageError(f"cannot wait {timeout:g} seconds for a board; give 0 or more")
    if not pool:
        raise RigFault("lease", "there is no board to choose from")
    wait = 0.0 if _held else timeout
    deadline = time.monotonic() + wait
    broken: dict[str, RigFault] = {}
    while True:
        for entry in pool:
            if entry.name not in broken and (lease := _tried(entry, who, broken)) is not None:
                return lease
        if all(entry.name in broken for entry in pool):
            raise _none(broken)
        if time.monotonic() >= deadline:
            raise RigFault("lease", _busy(pool, wait, broken), board=", ".join(entry.name for entry in pool))
        time.sleep(_POLL_SECONDS)


def holder(entry: BoardEntry) -> Holder | None:
    """Who holds ``entry`` now; None when it is free or virtual. Raises ``RigFault`` as ``acquire`` does."""
    for lock in _locks(entry):
        if not _acquired(lock, ""):
            return _read_holder(lock)
        lock.release()
    return None


def held_by(entry: BoardEntry) -> str:
    """Who holds ``entry`` now, in words, here or in the farm of its place; empty when it is free or virtual.
    Raises as ``acquire`` does.
    """
    here = holder(entry)
    if here is not None or not entry.place:
        return str(here or "")
    there = Place(entry.place).holder()
    return f"{there} of the labgrid farm" if there else ""


def directory() -> Path:
    """Where the lock files lie: ``QC_LEASE_DIR``, else a folder of this user's in the system's place for
    temporary files. It must not depend on how the user logged in (as XDG_RUNTIME_DIR does): a job
    started by a service has to see the same locks as one typed at a terminal. A lab with several
    users on one machine names a folder that all of them may write.
    """
    given = os.environ.get(DIRECTORY_VARIABLE)
    path = Path(given) if given else _usual_directory()
    try:
        path.mkdir(mode=0o777 if given else 0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(path, error) from error
    if not given and os.name == "posix":
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode) or status.st_uid != os.getuid():
            raise RigFault(
                "lease", f"{path} belongs to another user; set {DIRECTORY_VARIABLE} to a folder of yours"
            )
    return path


def _usual_directory() -> Path:
    if os.name != "posix":
        return Path(tempfile.gettempdir()) / "quantcheck-leases"
    return Path("/tmp") / f"quantcheck-leases-{os.getuid()}"


def _unusable(path: Path, error: OSError) -> RigFault:
    return RigFault(
        "lease",
        f"the lease folder {path} cannot be used ({error.strerror or error}); "
        f"set {DIRECTORY_VARIABLE} to a folder that every user of the lab may write (mode 1777)",
    )


def _tried(entry: BoardEntry, who: str, broken: dict[str, RigFault]) -> Lease | None:
    """As ``_try``; what is wrong with a board goes into ``broken``."""
    try:
        return _try(entry, who)
    except RigFault as fault:
        broken[entry.name] = fault
        return None


def _none(broken: Mapping[str, RigFault]) -> RigFault:
    """The fault of boards that all have one: theirs, where it is the same."""
    if len({fault.reason for fault in broken.values()}) == 1:
        return next(iter(broken.values()))
    lines = [f"  {name}: {fault.reason}" for name, fault in broken.items()]
    return RigFault("lease", "\n".join(["no board can be leased:", *lines]), board=", ".join(broken))


def _try(entry: BoardEntry, who: str) -> Lease | None:
    """All locks of a board, or none of them. Never waits while it holds one."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    says = json.dumps(asdict(Holder(os.getpid(), who, now, socket.gethostname(), user_name())))
    with ExitStack() as taken:
        locks = _locks(entry)
        for lock in locks:
            if not _acquired(lock, says):
                return None
            taken.callback(lock.release)
        place = Place(entry.place) if entry.place else None
        if place is not None:
            if not place.acquire():
                return None
            taken.callback(place.release)
            entry = replace(entry, port=place.port())
        taken.pop_all()
    if locks:
        _held.append(entry.name)
    return Lease(entry, locks, place)


def _acquired(lock: SharedLock, says: str) -> bool:
    try:
        return lock.acquire(says)
    except OSError as error:
        raise _unusable(lock.path.parent, error) from error


def _locks(entry: BoardEntry) -> list[SharedLock]:
    """One per name of the board; none for a virtual one."""
    return [] if entry.virtual else [_lock(name) for name in entry.physical_ids]


def _lock(physical_id: str) -> SharedLock:
    """A readable name plus a digest, since physical ids contain slashes and colons."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", physical_id)[-40:].strip("-")
    digest = hashlib.sha256(physical_id.encode()).hexdigest()[:12]
    return SharedLock(directory() / f"{readable}-{digest}.lock")


def _read_holder(lock: SharedLock) -> Holder | None:
    with suppress(OSError, ValueError, TypeError):
        return Holder(**json.loads(lock.holder_says()))
    return None


def _busy(pool: Sequence[BoardEntry], waited: float, broken: Mapping[str, RigFault]) -> str:
    lines = [f"no free board after waiting {waited:g} s:"]
    for entry in pool:
        if entry.name in broken:
            lines.append(f"  {entry.name} cannot be leased: {broken[entry.name].reason}")
            continue
        now = ""
        with suppress(RigFault):
            now = held_by(entry)
        lines.append(f"  {entry.name} is held by {now or 'an unknown user'}")
    if _held:
        lines.append(f"this process holds {', '.join(_held)} and therefore does not wait: release it first")
    else:
        lines.append("wait for it, end that process, or give --qc-lease-timeout more seconds")
    return "\n".join(lines)

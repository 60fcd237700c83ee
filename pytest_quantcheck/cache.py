"""Conversions kept by content: the same source, configuration, samples and versions are converted once.

An entry is one file, its first line a JSON header with the payload's SHA-256. Entries are written
atomically and checked when read; a lock per key makes parallel test processes wait for the one that converts.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.files import MAKING, write_whole

SUFFIX = ".qcc"
LOCK_SUFFIX = ".lock"
LEFT_OVER_S = 3600.0  # writing an entry takes a moment, however long it took to make
FORMAT = 1  # part of every key: a new layout makes new entries
_DECIDING = ("formats", "numerics", "data", "graph", "image", "models", "quantizers")


def default_root() -> Path:
    """``QC_CACHE``, else the platform's cache folder (XDG, ``~/Library/Caches``, ``%LOCALAPPDATA%``)."""
    if configured := os.environ.get("QC_CACHE"):
        return Path(configured)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "pytest-quantcheck"


@functools.cache
def code_sha256() -> str:
    """Of the files that decide what a conversion gives: nothing that older code made comes out of a cache."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for folder in _DECIDING:
        for path in sorted((package / folder).rglob("*.py")):
            name = path.relative_to(package).as_posix()
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@dataclass(frozen=True)
class Pruned:
    """What ``prune`` removed and what is left; ``leftovers`` are files of writers that were killed."""

    removed: int
    removed_bytes: int
    kept: int
    kept_bytes: int
    leftovers: int = 0


class Cache:
    """A folder of entries. Any number of processes may use it at once."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else default_root()

    @staticmethod
    def key(facts: Mapping[str, Any]) -> str:
        """SHA-256 over plain values in canonical JSON, and over the code that makes things of them."""
        whole = {"format": FORMAT, "code": code_sha256(), **facts}
        text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def get_or_make(self, facts: Mapping[str, Any], make: Callable[[], bytes]) -> bytes:
        """The payload stored for ``facts``, else ``make()``, which is stored.

        A damaged entry is made again. Raises ``UsageError`` when the folder cannot be written.
        """
        path = self._path(self.key(facts))
        if (payload := _read(path)) is not None:
            return payload
        with self._locked(path):
            if (payload := _read(path)) is None:
                payload = make()
                with self._explained():
                    _write(path, facts, payload)
            return payload

    def prune(self, *, max_age_days: float | None = None, max_bytes: int | None = None) -> Pruned:
        """Remove entries unused for more than ``max_age_days``, then the longest unused above ``max_bytes``.

        With neither, everything goes. An entry that is being made is left alone. What a killed writer left
        half done goes when it is an hour old.
        """
        everything = max_age_days is None and max_bytes is None
        oldest = time.time() - (max_age_days or 0) * 86400
        entries = sorted(((s.st_mtime, s.st_size, p) for p, s in self._entries()), reverse=True)
        kept, kept_bytes, removed, removed_bytes = 0, 0, 0, 0
        for used, size, path in entries:
            stale = max_age_days is not None and used < oldest
            too_many = max_bytes is not None and kept_bytes + size > max_bytes
            if (everything or stale or too_many) and _remove(path):
                removed, removed_bytes = removed + 1, removed_bytes + size
            else:
                kept, kept_bytes = kept + 1, kept_bytes + size
        return Pruned(removed, removed_bytes, kept, kept_bytes, self._remove_leftovers())

    def size(self) -> tuple[int, int]:
        """How many entries there are, and their bytes."""
        sizes = [status.st_size for _, status in self._entries()]
        return len(sizes), sum(sizes)

    def _remove_leftovers(self) -> int:
        count = 0
        for path in self.root.glob(f"*/{MAKING}*"):
            with contextlib.suppress(FileNotFoundError):  # another process prunes too, or it is whole now
                if time.time() - path.stat().st_mtime > LEFT_OVER_S:
                    path.unlink()
                    count += 1
        return count

    @contextlib.contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """Wait until no other process makes this entry. The lock dies with the process that holds it."""
        lock = filelock.FileLock(path.with_suffix(LOCK_SUFFIX))
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UsageError(
                f"the cache folder {self.root} cannot be written ({error}); "
                "name another one with --qc-cache or QC_CACHE (quantcheck quantize: --cache)"
            ) from error

    def _entries(self) -> list[tuple[Path, os.stat_result]]:
        found = []
        for path in self.root.glob(f"*/*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):  # another process prunes too
                found.append((path, path.stat()))
        return found

    def _path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}{SUFFIX}"


def _read(path: Path) -> bytes | None:
    """The payload, or None when there is no sound entry. Marks the entry as used."""
    try:
        header, _, payload = path.read_bytes().partition(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        expected = json.loads(header)["sha256"]
    except (ValueError, KeyError, TypeError):
        return None
    if hashlib.sha256(payload).hexdigest() != expected:
        return None
    with contextlib.suppress(OSError):  # a read-only cache is still a cache
        os.utime(path)
    return payload


def _write(path: Path, facts: Mapping[str, Any], payload: bytes) -> None:
    header = {"sha256": hashlib.sha256(payload).hexdigest(), "made_from": dict(facts)}
    write_whole(path, json.dumps(header, sort_keys=True).encode() + b"\n" + payload)


def _remove(path: Path) -> bool:
    """Remove an entry and its lock unless somebody is making it right now.

    Who waits on a lock file that is removed here makes the same entry beside another, which is only work.
    """
    lock = filelock.FileLock(path.with_suffix(LOCK_SUFFIX))
    try:
        with lock.acquire(timeout=0):
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # Windows keeps what is open
                path.with_suffix(LOCK_SUFFIX).unlink()
            return True
    except filelock.Timeout:
        return False

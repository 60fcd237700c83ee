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

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.files import read_whole, remove_leftovers, write_whole
from pytest_quantcheck.loud import tell

SUFFIX = ".qcc"
LOCK_SUFFIX = ".lock"
MOST_BYTES = 1 << 30
LONGEST_WAIT_S = 900.0  # for another process that makes the same entry
FORMAT = 1  # part of every key: a new layout makes new entries
_DECIDING = ("formats", "numerics", "data", "graph", "image", "models", "quantizers")


def default_root() -> Path:
    """``QC_CACHE``, else the platform's cache folder (XDG, ``~/Library/Caches``, ``%LOCALAPPDATA%``)."""
    if configured := os.environ.get("QC_CACHE"):
        return Path(configured)
    return platform_root()


def platform_root() -> Path:
    """Our folder in the platform's folder for caches, whatever ``QC_CACHE`` says."""
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
        return hashlib.sha256(_made_from(facts).encode()).hexdigest()

    def get_or_make(self, facts: Mapping[str, Any], make: Callable[[], bytes]) -> bytes:
        """The payload stored for ``facts``, else ``make()``, which is stored.

        An entry that is damaged, or was made from other facts, is made again. A folder that cannot be
        written, or a full disk, costs the entry and one warning, never the payload.
        """
        made_from = _made_from(facts)
        path = self._path(self.key(facts))
        if (payload := _read(path, made_from)) is not None:
            return payload
        with self._locked(path):
            if (payload := _read(path, made_from)) is None:
                payload = make()
                with self._not_fatal():
                    _write(path, made_from, payload)
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
        return sum(remove_leftovers(folder) for folder in self.root.glob("*") if folder.is_dir())

    @contextlib.contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """Wait until no other process makes this entry. The lock dies with the process that holds it.

        Without a lock (nothing can be written, or the other process takes too long) it is made twice.
        """
        lock = filelock.FileLock(path.with_suffix(LOCK_SUFFIX))
        with self._not_fatal(), contextlib.suppress(filelock.Timeout):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=LONGEST_WAIT_S)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                lock.release()

    @contextlib.contextmanager
    def _not_fatal(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _warn_once(
                self.root,
                f"the cache folder {self.root} cannot be written ({error}): conversions are made again each "
                "time; name another one with --qc-cache or QC_CACHE (quantcheck quantize: --cache)",
            )

    def _entries(self) -> list[tuple[Path, os.stat_result]]:
        found = []
        for path in self.root.glob(f"*/*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):  # another process prunes too
                found.append((path, path.stat()))
        return found

    def _path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}{SUFFIX}"


def _made_from(facts: Mapping[str, Any]) -> str:
    """All that decides an entry, in canonical JSON."""
    whole = {"format": FORMAT, "code": code_sha256(), **facts}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"))


_warned: set[Path] = set()


def _warn_once(folder: Path, message: str) -> None:
    if folder in _warned:
        return
    _warned.add(folder)
    tell(message)


def _read(path: Path, made_from: str) -> bytes | None:
    """The payload, or None when there is no sound entry made from that. Marks the entry as used."""
    try:
        header, _, payload = read_whole(path, MOST_BYTES).partition(b"\n")
        told = json.loads(header)
        whole = told["made_from"] == made_from and told["sha256"] == hashlib.sha256(payload).hexdigest()
    except (OSError, ModelError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not whole:
        return None
    with contextlib.suppress(OSError):  # a read-only cache is still a cache
        os.utime(path)
    return payload


def _write(path: Path, made_from: str, payload: bytes) -> None:
    header = {"sha256": hashlib.sha256(payload).hexdigest(), "made_from": made_from}
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.unlink()  # a link or a pipe that somebody put there is not written to
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

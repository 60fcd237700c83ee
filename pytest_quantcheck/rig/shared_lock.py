"""A lock file that several users of one machine share, and that says who holds it.

``filelock`` opens its files with O_CREAT, and Linux refuses that for other people's files in a sticky folder
such as /tmp (fs.protected_regular), so here a file is made once, writable for all, and opened without O_CREAT
afterwards. The lock is the operating system's: it dies with its process.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_ALL_MAY_WRITE = 0o666
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_MOST_SAID = 4096


class SharedLock:
    """The lock at ``path``. ``acquire`` never waits. Errors of the file system are ``OSError``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, says: str = "") -> bool:
        """Take the lock if it is free and write down what the holder ``says``; whether it was free."""
        descriptor = self._open()
        if not _try_lock(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self._say(says)
        return True

    def release(self) -> None:
        """Give it back. Harmless when it is not held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            _say(descriptor, "")
            os.close(descriptor)  # ends the lock

    def holder_says(self) -> str:
        """What the last holder said; empty when it said nothing, or gave the lock back."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | _NO_LINK)
        except OSError:
            return ""
        try:
            return os.read(descriptor, _MOST_SAID).decode(errors="replace")
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        """The file, made where there is none; never through a symbolic link."""
        for flags in (
            os.O_RDWR,
            os.O_RDONLY,
        ):  # somebody's umask may have kept it from us: flock needs no more
            with suppress(FileNotFoundError, PermissionError):
                return os.open(self.path, flags | _NO_LINK)
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINK, _ALL_MAY_WRITE)
        except FileExistsError:  # somebody was faster, or may not be read
            return os.open(self.path, os.O_RDONLY | _NO_LINK)
        with suppress(OSError, AttributeError):  # Windows has no fchmod
            os.fchmod(descriptor, _ALL_MAY_WRITE)  # whatever the umask says
        return descriptor

    def _say(self, text: str) -> None:
        assert self._descriptor is not None
        _say(self._descriptor, text)


def _say(descriptor: int, text: str) -> None:
    with suppress(OSError):  # a file that is not ours to write is still a lock
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, text.encode()[:_MOST_SAID])


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":  # written for it, untested
            os.lseek(descriptor, _MOST_SAID, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # Windows says the latter
        return False
    return True

"""Temporary folders that are removed even when their owner is killed: the next run sweeps them.

An owner holds a lock in its folder, and the lock dies with the owner. A folder without such a lock file is
somebody else's, whatever its name.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

with suppress(ImportError):  # Windows has none
    import fcntl

PREFIX = "quantcheck-"
OWNER = ".owner"
"""The file that the owner has locked."""
_swept: set[Path] = set()


class OwnFolder(tempfile.TemporaryDirectory[str]):
    """A folder ``quantcheck-KIND-...``, removed by ``cleanup``, at the end of ``with``, or when swept later.

    ``parent``: where, if not in the system's temporary folder. Raises ``OSError``. Windows sweeps nothing.
    """

    def __init__(self, kind: str, parent: Path | None = None) -> None:
        parent = Path(tempfile.gettempdir()) if parent is None else parent
        if parent not in _swept:
            _swept.add(parent)
            sweep(parent)
        super().__init__(prefix=f"{PREFIX}{kind}-", dir=parent, ignore_cleanup_errors=True)
        self._owned = _own(self.path)

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.name)

    def cleanup(self) -> None:
        """Remove it. Harmless when repeated."""
        super().cleanup()
        descriptor, self._owned = self._owned, None
        if descriptor is not None:
            os.close(descriptor)


def sweep(parent: Path) -> int:
    """Remove this user's folders in ``parent`` whose owner is gone; returns how many. Never raises."""
    count = 0
    if sys.platform == "win32":
        return count
    with suppress(OSError):
        for folder in parent.glob(f"{PREFIX}*"):
            with suppress(OSError):
                count += _swept_away(folder)
    return count


def _own(folder: Path) -> int | None:
    """Put a locked file there. It has its name only when it is locked, so that nobody sweeps in between."""
    if sys.platform == "win32":
        return None
    unlocked = folder / f"{OWNER}-unlocked"
    descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unlocked.rename(folder / OWNER)
    except OSError:  # a file system without locks: nothing there is swept
        os.close(descriptor)
        return None
    return descriptor


def _swept_away(folder: Path) -> bool:
    """Raises ``OSError`` where the folder has no lock, is not ours, or its owner lives."""
    if sys.platform == "win32" or folder.is_symlink() or folder.stat().st_uid != os.getuid():
        return False
    descriptor = os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for each in folder.iterdir():
            if each.name != OWNER:  # last: what is half removed must still be known as ours
                shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
        shutil.rmtree(folder)
        return True
    finally:
        os.close(descriptor)

"""Files that a command will write: refused before the long work begins, not after it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pytest_quantcheck.errors import UsageError


def check_file(option: str, path: Path, *others: Path | None) -> None:
    """``path`` can be written, and is none of ``others``, which the command reads or writes as well.

    Raises ``UsageError``.
    """
    try:
        _check(option, path)
    except OSError as error:
        raise UsageError(f"{option} {path} cannot be written: {error.strerror}") from error
    for other in others:
        if other is not None and _same(path, other):
            raise UsageError(f"{option} {path} is also {other}, which it would overwrite; give another name")


def _check(option: str, path: Path) -> None:
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder; give the name of a file")
    if path.exists() and not os.access(path, os.W_OK):
        raise UsageError(f"{option} {path} may not be written; look at the permissions")
    if path.is_file() or not path.exists():  # made beside it; to root, read-only file systems look writable
        tempfile.TemporaryFile(dir=path.resolve().parent).close()


def _same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()

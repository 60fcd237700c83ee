"""Files written whole, or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

MAKING = ".making-"
"""How names of files begin that are not whole yet; one that is old belongs to a writer that was killed."""


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path`` and put it in its place: no reader, crash or full disk ever leaves half.

    What is no regular file (``/dev/stdout``, a pipe) is written to. Raises ``OSError`` that names ``path``.
    """
    try:
        _write_whole(path, data)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error


def _write_whole(path: Path, data: bytes) -> None:
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    path = path.resolve()  # a link stays one
    making = path.with_name(f"{MAKING}{secrets.token_hex(8)}")
    try:
        with making.open("xb") as file:
            file.write(data)
            if path.exists():
                os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
        making.replace(path)
    except BaseException:
        making.unlink(missing_ok=True)
        raise

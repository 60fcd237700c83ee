"""Whole files: written completely or not at all, read with a bound.

A name that a stranger gives may be a pipe that nobody writes to, a device without an end, or a file with a
terabyte of holes: it is looked at before it is opened, and never more is read than is allowed.
"""

from __future__ import annotations

import io
import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path

from pytest_quantcheck.errors import ModelError

MAKING = ".making-"
"""How names of files begin that are not whole yet; one that is old belongs to a writer that was killed."""
LEFT_OVER_S = 3600.0
"""How old such a file must be to be one: writing takes a moment, however long it took to make the content."""
MOST_BYTES = 1 << 28
"""Of a model that is read into memory: far beyond what a microcontroller holds."""
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_regular(path: Path) -> int:
    """The size of a regular file in bytes; ``ModelError`` for a folder, pipe, socket or device."""
    status = path.stat()
    for is_kind, words in _KINDS:
        if is_kind(status.st_mode):
            raise ModelError(
                f"{path} is {words}; only regular files are read. Give the name of a file"
                + ("" if words == "a folder" else ", or write what comes out of it to one first")
            )
    return status.st_size


def open_regular(path: Path) -> io.BufferedReader:
    """A regular file for reading. Never waits; raises ``OSError``, or ``ModelError`` as ``check_regular``."""
    check_regular(path)  # opening alone makes some devices act
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # exchanged in between
        os.close(descriptor)
        raise ModelError(f"{path} is no regular file")
    return os.fdopen(descriptor, "rb")


def read_whole(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file of at most ``most`` bytes. Raises ``OSError`` and ``ModelError``."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        # asking for all that is allowed would take that much memory, whatever the file holds
        content = file.read(size + 1) if size <= most else b""
        while size < len(content) <= most and (more := file.read(1 << 20)):
            content += more
    if max(size, len(content)) > most:
        raise ModelError(f"{path} has {max(size, len(content))} bytes; at most {most} are read")
    return content


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path`` and put it in its place: no reader, crash or full disk ever leaves half.

    What is no regular file (``/dev/stdout``, a pipe) is written to. Raises ``OSError`` that names ``path``.
    """
    try:
        _write_whole(path, data)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error


def remove_leftovers(folder: Path) -> int:
    """Remove what killed writers left in ``folder``, unless it is young; returns how many files."""
    count = 0
    for path in folder.glob(f"{MAKING}*"):
        with suppress(FileNotFoundError):  # another process removes it too, or it is whole now
            if time.time() - path.stat().st_mtime > LEFT_OVER_S:
                path.unlink()
                count += 1
    return count


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

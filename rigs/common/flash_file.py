"""The file that is a virtual board's flash: blank when new, one board's at a time, never somebody's file."""

from __future__ import annotations

import mmap
from pathlib import Path

from pytest_quantcheck.errors import UsageError


def map_flash(path: Path, size: int) -> mmap.mmap:
    """``size`` bytes of ``path``, locked as long as they are mapped; a new or empty file becomes all ones.

    Raises ``UsageError`` for a file that cannot be opened, that has another size, or that another board uses.
    """
    import fcntl  # Windows, where real boards may be, has none

    try:
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = file.seek(0, 2)
            if found == 0:
                file.write(b"\xff" * size)
                file.flush()
            elif found != size:
                raise UsageError(
                    f"flash file {path} has {found} bytes, not {size}: it is no flash of this chip and is "
                    f"left as it is; name a new file"
                )
            return mmap.mmap(file.fileno(), size)
    except BlockingIOError:
        raise UsageError(f"flash file {path} is in use by another virtual board; name another file") from None
    except OSError as error:
        told = error.strerror or error  # what cannot be sought has no number
        raise UsageError(f"flash file {path} cannot be used: {told}; name another file") from None

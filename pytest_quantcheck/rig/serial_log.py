"""The serial log of a board: the link's frames and the session's notes, in one file at a time.

A log is there to help: one that cannot be written costs that log and a warning, never a verdict.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from pytest_quantcheck.loud import tell

_MOST_BYTES = 32 << 20  # of frames in a file: ten thousand vectors take a fifth of it


class SerialLog:
    """Text appended to ``path``, which is made at the first word; ``switch`` goes on in another file.

    A board that sends without end does not fill the disk: beyond a limit only notes are written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._lost = False
        self._room = _MOST_BYTES

    @property
    def path(self) -> Path:
        """The file that is written now."""
        return self._path

    def switch(self, path: Path) -> None:
        """Go on in ``path``."""
        self.close()
        self._path = path
        self._lost = False
        self._room = _MOST_BYTES

    def write(self, text: str) -> None:
        """Append ``text`` as it is. What cannot be written is given up for this file, with a warning."""
        if self._room <= 0:
            return
        self._room -= len(text)
        self._append(text)
        if self._room <= 0:
            self.note(f"{_MOST_BYTES >> 20} MiB are full: from here on frames are not written")

    def _append(self, text: str) -> None:
        if self._lost:
            return
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("a", encoding="utf-8", buffering=1)
            self._file.write(text)
        except OSError as error:
            self._give_up(error)

    def note(self, text: str) -> None:
        """A line of the session's own, with the time of day."""
        self._append(f"== {datetime.now():%Y-%m-%d %H:%M:%S} {text}\n")

    def close(self) -> None:
        """Close the file; the next word opens it again."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:  # the last words of a full disk
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._lost = True
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()
        tell(f"serial log {self._path} NOT WRITTEN: {error}")


def log_folder(wanted: Path) -> Path:
    """``wanted``, made where need be; a temporary folder, with a warning, where it cannot be written."""
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            return wanted
    except OSError as error:
        other = Path(tempfile.mkdtemp(prefix="quantcheck-logs-"))
        tell(f"log folder {wanted} cannot be written ({error}); logs go to {other}")
        return other

"""The serial log of a board: the link's frames and the session's notes, in one file at a time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TextIO


class SerialLog:
    """Text appended to ``path``, which is made at the first word; ``switch`` goes on in another file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    @property
    def path(self) -> Path:
        """The file that is written now."""
        return self._path

    def switch(self, path: Path) -> None:
        """Go on in ``path``."""
        self.close()
        self._path = path

    def write(self, text: str) -> None:
        """Append ``text`` as it is."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8", buffering=1)
        self._file.write(text)

    def note(self, text: str) -> None:
        """A line of the session's own, with the time of day."""
        self.write(f"== {datetime.now():%Y-%m-%d %H:%M:%S} {text}\n")

    def close(self) -> None:
        """Close the file; the next word opens it again."""
        if self._file is not None:
            self._file.close()
        self._file = None

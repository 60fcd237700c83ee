"""Frames as lines of text in the serial log."""

from __future__ import annotations

import time
from typing import Protocol

from pytest_quantcheck.rig.link.frame import Frame
from pytest_quantcheck.rig.messages.numbers import kind_name


class LogStream(Protocol):
    """Where a serial log goes: an open text file or anything with ``write``."""

    def write(self, text: str, /) -> object: ...


class FrameLog:
    """Writes frames as lines a person can read: seconds, direction, type, number, length, first bytes."""

    def __init__(self, stream: LogStream) -> None:
        self.stream = stream
        self._start = time.monotonic()

    def frame(self, direction: str, frame: Frame, note: str = "") -> None:
        """``direction`` is ``->`` to the device or ``<-`` from it."""
        head = frame.payload[:24].hex(" ")
        more = " ..." if len(frame.payload) > 24 else ""
        self.note(
            f"{direction} {kind_name(frame.type):14} #{frame.sequence:<3} {len(frame.payload):4} B"
            f"{'  ' + note if note else ''}  {head}{more}".rstrip()
        )

    def noise(self, coded: bytes) -> None:
        """Bytes that are no frame; a boot ROM's text is shown as text."""
        text = coded[:200].decode("ascii", errors="replace")
        printable = sum(each.isprintable() or each.isspace() for each in text) > 0.9 * len(text)
        shown = repr(text.strip()) if printable else coded[:24].hex(" ")
        self.note(f"<- noise {len(coded)} B  {shown}")

    def note(self, text: str) -> None:
        """One line, with the seconds since the log was opened in front."""
        self.stream.write(f"{time.monotonic() - self._start:10.4f} {text}\n")

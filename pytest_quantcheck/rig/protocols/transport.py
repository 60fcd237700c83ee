"""Promises to carry bytes."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """A byte stream to a board: a ``serial.SerialBase`` or anything with the same few methods.

    ``read`` waits a short time of its own (a fraction of a second) and returns what came, perhaps nothing.
    A stream that can change its speed has an attribute ``baudrate`` to set; others stay as they are.
    All methods raise ``OSError`` when the stream is broken.
    """

    def read(self, size: int = 1) -> bytes: ...
    def write(self, data: bytes) -> int | None: ...
    def close(self) -> None: ...

"""The constants section of a device image under construction."""

from __future__ import annotations

from pytest_quantcheck.image.layout import ALIGNMENT


class Constants:
    """Blocks of bytes, each at an aligned offset."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._known: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._data)

    def add(self, block: bytes) -> int:
        """The offset of a block of its own."""
        self._data += bytes(-len(self._data) % ALIGNMENT)
        offset = len(self._data)
        self._data += block
        return offset

    def share(self, block: bytes) -> int:
        """The offset of a block that operators with equal weights or operands have in common."""
        if block not in self._known:
            self._known[block] = self.add(block)
        return self._known[block]

    @property
    def data(self) -> bytes:
        return bytes(self._data)

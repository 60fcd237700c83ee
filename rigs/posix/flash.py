"""NOR flash in a file: a program turns ones into zeros, an erase turns a sector into ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_quantcheck.errors import RigFault
from rigs.common.flash_file import map_flash

SECTOR_BYTES = 4096
SIZE = 6 << 20  # 2 MiB for the firmware, 4 MiB of store


class FlashFile:
    """``path`` holds the flash from address 0 on. ``stuck`` bits keep their value whatever is written.

    ``UsageError`` for a file that is no such flash, or another board's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stuck: dict[tuple[int, int], int] = {}
        self._held = map_flash(path, SIZE)  # no other board has the file until ``close``

    def close(self) -> None:
        """Leave the file to others."""
        self._held.close()

    def read(self, address: int, size: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(address)
            return file.read(size)

    def write(self, segments: Sequence[tuple[int, bytes]]) -> int:
        """Write and verify; returns how many sectors had to be erased. Raises ``RigFault("flash")``."""
        erased = 0
        for address, data in segments:
            if address < 0 or address + len(data) > SIZE:
                raise RigFault(
                    "flash", f"{len(data)} bytes at {address:#x} lie outside the flash of {SIZE} bytes"
                )
            first = address - address % SECTOR_BYTES
            for sector in range(first, address + len(data), SECTOR_BYTES):
                erased += self._write_sector(sector, address, data)
        for address, data in segments:
            if self.read(address, len(data)) != data:
                raise RigFault(
                    "flash", f"verify failed: {len(data)} bytes at {address:#x} are not what was written"
                )
        return erased

    def stick(self, address: int, bit: int, value: int) -> None:
        """From now on this bit reads ``value``."""
        self.stuck[address, bit] = value
        self._store(address, self.read(address, 1))

    def _write_sector(self, sector: int, address: int, data: bytes) -> bool:
        """Program one sector with its part of ``data``; returns whether it had to be erased before."""
        old = self.read(sector, SECTOR_BYTES)
        start, stop = max(sector, address), min(sector + SECTOR_BYTES, address + len(data))
        part = data[start - address : stop - address]
        new = old[: start - sector] + part + old[stop - sector :]
        self._store(sector, new)
        return any(after & ~before for before, after in zip(old, new, strict=True))

    def _store(self, address: int, data: bytes) -> None:
        content = bytearray(data)
        for (place, bit), value in self.stuck.items():
            if address <= place < address + len(content):
                cleared = content[place - address] & ~(1 << bit)
                content[place - address] = cleared | value << bit
        with self.path.open("r+b") as file:
            file.seek(address)
            file.write(content)

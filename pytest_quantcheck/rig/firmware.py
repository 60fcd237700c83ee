"""The bytes of a firmware file as a flash tool wants them: one flat image, or an ELF's loadable segments."""

from __future__ import annotations

import struct
from pathlib import Path

from pytest_quantcheck.errors import UsageError

_ELF32_LITTLE = b"\x7fELF\x01\x01"
_HEADER = struct.Struct("<16xHHIIIIIHHHHHH")  # Elf32_Ehdr behind e_ident
_SEGMENT = struct.Struct("<8I")  # Elf32_Phdr
_PT_LOAD = 1


def firmware_segments(path: Path, address: int) -> list[tuple[int, bytes]]:
    """``(address, bytes)`` of each part of a firmware: an ELF says where (physical addresses, TIS ELF 1.2),
    any other file is flat and goes to ``address``. Raises ``UsageError``.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"firmware {path} cannot be read: {error}") from error
    if not content.startswith(b"\x7fELF"):
        return [(address, content)]
    if not content.startswith(_ELF32_LITTLE):
        raise UsageError(
            f"firmware {path} is not a 32-bit little-endian ELF: no microcontroller of ours runs it"
        )
    try:
        return _loadable(content)
    except struct.error as error:
        raise UsageError(f"firmware {path} is a damaged ELF: {error}") from error


def _loadable(content: bytes) -> list[tuple[int, bytes]]:
    header = _HEADER.unpack_from(content)
    table, size, count = header[4], header[8], header[9]
    found = []
    for number in range(count):
        kind, offset, _, physical, length, *_ = _SEGMENT.unpack_from(content, table + number * size)
        if kind == _PT_LOAD and length:
            if offset + length > len(content):
                raise struct.error("a segment ends behind the file")
            found.append((physical, content[offset : offset + length]))
    return found

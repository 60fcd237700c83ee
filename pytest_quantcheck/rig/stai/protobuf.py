"""Protocol Buffers as bytes: the four wire types, and nothing of what a message means.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from pytest_quantcheck.errors import RigFault

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_MOST_BITS = 64

Value = int | bytes
"""A varint or a fixed number as unsigned integer, a text or a message as its bytes."""


def varint(value: int) -> bytes:
    """``value`` (from 0 on) in groups of 7 bits, the lowest first."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def varints(data: bytes) -> list[int]:
    """The numbers of a packed field. ``RigFault`` (protocol)."""
    made, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        made.append(value)
    return made


def message(fields: Iterable[tuple[int, int | bytes | str]]) -> bytes:
    """The bytes of a message of varints, texts and byte strings, in the order given."""
    made = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            made += varint(number << 3 | VARINT) + varint(value)
        else:
            content = value.encode() if isinstance(value, str) else value
            made += varint(number << 3 | BYTES) + varint(len(content)) + content
    return bytes(made)


def fields(data: bytes) -> Iterator[tuple[int, int, Value]]:
    """Number, wire type and value of each field, in order. ``RigFault`` (protocol) for what is no message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        value: Value
        if kind == VARINT:
            value, at = _varint(data, at)
        elif kind == BYTES:
            size, at = _varint(data, at)
            value, at = _part(data, at, size)
        elif kind in (FIXED32, FIXED64):
            part, at = _part(data, at, 4 if kind == FIXED32 else 8)
            value = int.from_bytes(part, "little")
        else:
            raise broken(f"wire type {kind}, which is not known")
        yield number, kind, value


def as_float(value: int) -> float:
    """The float32 of a fixed number of 32 bits."""
    return float(struct.unpack("<f", value.to_bytes(4, "little"))[0])


def broken(what: str) -> RigFault:
    """The fault of a message that cannot be."""
    return RigFault("protocol", f"the device's message is damaged: {what}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for count, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value & (1 << _MOST_BITS) - 1, at + count + 1
    raise broken("a number without an end")


def _part(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if size > len(data) - at:
        raise broken(f"{size} bytes, of which {len(data) - at} are there")
    return data[at : at + size], at + size

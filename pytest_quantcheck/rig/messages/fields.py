"""The fields of which payloads consist: how each is written, read and checked.

Whatever is read is checked here, where it is read: a value outside its range never goes further.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Protocol


class MessageError(ValueError):
    """A payload that is shorter, longer or otherwise not what ``firmware/LINK.md`` says."""


@dataclass(frozen=True)
class Span:
    """Where in a payload a field was read: bytes ``start`` to ``stop``."""

    name: str
    start: int
    stop: int


class Reader:
    """Takes fields from the front of a payload and remembers in ``spans`` where each was."""

    def __init__(self, payload: bytes) -> None:
        self.spans: list[Span] = []
        self._payload = payload
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes have not been taken."""
        return len(self._payload) - self._at

    def take(self, size: int, name: str) -> bytes:
        """The next ``size`` bytes, which are the field ``name``."""
        if size > self.left:
            raise MessageError(f"it ends in or before its field {name}, after {len(self._payload)} bytes")
        start, self._at = self._at, self._at + size
        self.spans.append(Span(name, start, self._at))
        return self._payload[start : self._at]

    def number(self, size: int, name: str) -> int:
        """The next ``size`` bytes as an unsigned integer."""
        return int.from_bytes(self.take(size, name), "little")

    def end(self) -> None:
        """Nothing may be left."""
        if self.left:
            raise MessageError(f"it has {self.left} bytes too many")


class Field(Protocol):
    """One kind of field. ``unpack`` raises ``MessageError``."""

    def pack(self, value: Any, /) -> bytes: ...
    def unpack(self, reader: Reader, name: str, /) -> Any: ...


@dataclass(frozen=True)
class Number:
    """An unsigned integer of ``size`` bytes between ``low`` and ``high``; ``or_zero``: zero as well.

    None is written as 0.
    """

    size: int
    low: int = 0
    high: int | None = None
    or_zero: bool = False

    def pack(self, value: int | None) -> bytes:
        return (value or 0).to_bytes(self.size, "little")

    def unpack(self, reader: Reader, name: str) -> int:
        value = reader.number(self.size, name)
        if not self.low <= value <= self.most and not (self.or_zero and value == 0):
            zero = "0, " if self.or_zero else ""
            raise _out_of_range(name, value, f"{zero}{self.low} to {self.most}")
        return value

    @property
    def most(self) -> int:
        """The largest value."""
        return int(256**self.size) - 1 if self.high is None else self.high


U8, U16, U32 = Number(1), Number(2), Number(4)
COUNT = Number(8, high=2**63 - 1)
"""What a counter says: as many counts as a signed 64-bit number can hold."""


@dataclass(frozen=True)
class Truth:
    """A number of ``size`` bytes: 0 or 1."""

    size: int

    def pack(self, value: bool) -> bytes:
        return int(value).to_bytes(self.size, "little")

    def unpack(self, reader: Reader, name: str) -> bool:
        value = reader.number(self.size, name)
        if value > 1:
            raise _out_of_range(name, value, "0, 1")
        return value == 1


@dataclass(frozen=True)
class OrNone:
    """A number of ``size`` bytes; all ones stand for None."""

    size: int

    def pack(self, value: int | None) -> bytes:
        return (self._ones if value is None else value).to_bytes(self.size, "little")

    def unpack(self, reader: Reader, name: str) -> int | None:
        value = reader.number(self.size, name)
        return None if value == self._ones else value

    @property
    def _ones(self) -> int:
        return int(256**self.size) - 1


@dataclass(frozen=True)
class Choice:
    """A number of ``size`` bytes that stands for a value of an enumeration."""

    size: int
    values: type[IntEnum]

    def pack(self, value: IntEnum) -> bytes:
        return int(value).to_bytes(self.size, "little")

    def unpack(self, reader: Reader, name: str) -> IntEnum:
        value = reader.number(self.size, name)
        try:
            return self.values(value)
        except ValueError:
            named = ", ".join(f"{each.value} ({each.name.lower()})" for each in self.values)
            raise _out_of_range(name, value, named) from None


@dataclass(frozen=True)
class Word:
    """A number of ``size`` bytes that stands for one of ``words``."""

    size: int
    words: tuple[str, ...]

    def pack(self, value: str) -> bytes:
        return self.words.index(value).to_bytes(self.size, "little")

    def unpack(self, reader: Reader, name: str) -> str:
        value = reader.number(self.size, name)
        if value >= len(self.words):
            named = ", ".join(f"{number} ({word})" for number, word in enumerate(self.words))
            raise _out_of_range(name, value, named)
        return self.words[value]


@dataclass(frozen=True)
class Flags:
    """Bits in a number of ``size`` bytes."""

    size: int
    values: type[IntFlag]

    def pack(self, value: IntFlag) -> bytes:
        return int(value).to_bytes(self.size, "little")

    def unpack(self, reader: Reader, name: str) -> IntFlag:
        value = reader.number(self.size, name)
        known = sum(self.values)
        if value & ~known:
            raise _out_of_range(name, value, f"the bits of {known:#x}")
        return self.values(value)


@dataclass(frozen=True)
class Padded:
    """A field with ``zeros`` bytes behind it, which are sent as zero and not looked at."""

    kind: Any
    zeros: int

    @property
    def size(self) -> int:
        return int(self.kind.size) + self.zeros

    def pack(self, value: object) -> bytes:
        return bytes(self.kind.pack(value)) + bytes(self.zeros)

    def unpack(self, reader: Reader, name: str) -> Any:
        value = self.kind.unpack(reader, name)
        reader.take(self.zeros, f"zeros behind {name}")
        return value


@dataclass(frozen=True)
class Fixed:
    """So many bytes."""

    size: int

    def pack(self, value: bytes) -> bytes:
        return value

    def unpack(self, reader: Reader, name: str) -> bytes:
        return reader.take(self.size, name)


@dataclass(frozen=True)
class Counted:
    """A byte that says how many bytes follow, at most ``most``."""

    most: int = 255

    def pack(self, value: bytes) -> bytes:
        return bytes([len(value)]) + value

    def unpack(self, reader: Reader, name: str) -> bytes:
        length = Number(1, high=self.most).unpack(reader, f"length of {name}")
        return reader.take(length, name)


@dataclass(frozen=True)
class Text:
    """UTF-8 behind a byte that says how many bytes it has: printable, since it goes to people's terminals.

    ``pattern`` is a regular expression that all of it must fit.
    """

    pattern: str = ""

    def pack(self, value: str) -> bytes:
        return Counted().pack(value.encode())

    def unpack(self, reader: Reader, name: str) -> str:
        coded = Counted().unpack(reader, name)
        try:
            text = coded.decode()
        except UnicodeDecodeError:
            raise MessageError(f"{name} is {coded!r}; allowed: UTF-8") from None
        if not text.isprintable():
            raise MessageError(f"{name} is {text!r}; allowed: printable characters")
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise MessageError(f"{name} is {text!r}; allowed: {self.pattern}")
        return text


@dataclass(frozen=True)
class Rest:
    """All bytes that are left."""

    def pack(self, value: bytes) -> bytes:
        return value

    def unpack(self, reader: Reader, name: str) -> bytes:
        return reader.take(reader.left, name)


def _out_of_range(name: str, value: int, allowed: str) -> MessageError:
    return MessageError(f"{name} is {value}; allowed: {allowed}")

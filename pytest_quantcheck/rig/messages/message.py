"""A payload as a value: a frozen dataclass whose fields, in the order of the wire, name their kind.

@dataclass(frozen=True)
class Answer(Message):
    crc32: Annotated[int, U32]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from pytest_quantcheck.rig.messages.fields import Field, MessageError, Reader

Self = TypeVar("Self", bound="Message")


class Message:
    """Written by ``pack``, read by ``unpack``: what is packed is what is read."""

    def pack(self) -> bytes:
        """The payload."""
        return b"".join(kind.pack(getattr(self, name)) for name, kind in fields(type(self)))

    @classmethod
    def unpack(cls: type[Self], payload: bytes) -> Self:
        """Read a payload; ``MessageError`` when it is not one."""
        reader = Reader(payload)
        value = cls.read(reader)
        reader.end()
        return value

    @classmethod
    def read(cls: type[Self], reader: Reader) -> Self:
        """Read it from the front of what ``reader`` has left."""
        value = cls(**{name: kind.unpack(reader, name) for name, kind in fields(cls)})
        if problem := value.contradiction():
            raise MessageError(problem)
        return value

    def contradiction(self) -> str:
        """What about the fields together cannot be; empty when they can."""
        return ""

    @classmethod
    def packed_bytes(cls) -> int:
        """Bytes of a message whose fields all have a fixed size."""
        sizes: list[Any] = [kind for _, kind in fields(cls)]
        return sum(kind.size for kind in sizes)


@dataclass(frozen=True)
class Repeated:
    """Messages of one kind, one behind the other, up to the end of the payload."""

    kind: type[Message]

    def pack(self, values: tuple[Message, ...]) -> bytes:
        return b"".join(value.pack() for value in values)

    def unpack(self, reader: Reader, _name: str) -> tuple[Message, ...]:
        found = []
        while reader.left:
            found.append(self.kind.read(reader))
        return tuple(found)


_fields: dict[type[Message], tuple[tuple[str, Field], ...]] = {}


def fields(message: type[Message]) -> tuple[tuple[str, Field], ...]:
    """The fields of a class of messages, in the order of the wire: name and kind."""
    if message not in _fields:
        hints = get_type_hints(message, include_extras=True)
        _fields[message] = tuple((name, hint.__metadata__[0]) for name, hint in hints.items())
    return _fields[message]

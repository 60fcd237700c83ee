"""The fields of one message, read as what the schema declares them: a field that is missing or of another
wire type is a fault. Every single field of ST's messages is ``required``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_quantcheck.rig.stai.protobuf import (
    BYTES,
    FIXED32,
    VARINT,
    Value,
    as_float,
    broken,
    fields,
    varints,
)
from pytest_quantcheck.wording import visible


@dataclass(frozen=True)
class Fields:
    """Number, wire type and value of each, in order; of a number that occurs twice the last counts. All
    methods raise ``RigFault`` (protocol).
    """

    all: Sequence[tuple[int, int, Value]]

    @classmethod
    def of(cls, data: bytes) -> Fields:
        """Those of a message."""
        return cls(tuple(fields(data)))

    @property
    def numbers(self) -> set[int]:
        """Which fields there are."""
        return {number for number, _, _ in self.all}

    def number(self, number: int, *, bits: int = 32) -> int:
        """An unsigned number (uint32, an enum)."""
        value = self._varint(number)
        if value >> bits:
            raise broken(f"field {number} has more than {bits} bits")
        return value

    def signed(self, number: int) -> int:
        """An int32, which travels as one of 64 bits."""
        value = self._varint(number)
        value -= (value >> 63) << 64
        if not -(1 << 31) <= value < 1 << 31:
            raise broken(f"field {number} has more than 32 bits")
        return value

    def real(self, number: int) -> float:
        """A float32."""
        value = self._one(number, FIXED32, "a float32")
        assert isinstance(value, int)
        return as_float(value)

    def data(self, number: int) -> bytes:
        """A byte string, or a message."""
        value = self._one(number, BYTES, "bytes")
        assert isinstance(value, bytes)
        return value

    def text(self, number: int) -> str:
        """A text, its control characters made visible."""
        return visible(self.data(number).decode("utf-8", "replace"))

    def each(self, number: int) -> list[bytes]:
        """A repeated message."""
        found = [value for key, _, value in self.all if key == number]
        if not all(isinstance(value, bytes) for value in found):
            raise broken(f"field {number} should be messages")
        return [value for value in found if isinstance(value, bytes)]

    def counts(self, number: int) -> tuple[int, ...]:
        """A repeated uint32, packed or not."""
        made: list[int] = []
        for key, kind, value in self.all:
            if key == number:
                if kind not in (VARINT, BYTES):
                    raise broken(f"field {number} should be numbers")
                made += varints(value) if isinstance(value, bytes) else [value]
        return tuple(made)

    def _varint(self, number: int) -> int:
        value = self._one(number, VARINT, "a number")
        assert isinstance(value, int)
        return value

    def _one(self, number: int, kind: int, wanted: str) -> Value:
        found = [(wire, value) for key, wire, value in self.all if key == number]
        if not found:
            raise broken(f"field {number}, {wanted}, is missing")
        wire, value = found[-1]
        if wire != kind:
            raise broken(f"field {number} should be {wanted}")
        return value

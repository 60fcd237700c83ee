"""The bytes of all inputs, per inference; made when they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from pytest_quantcheck.numerics.arrays import Array


class Rows(Sequence[list[bytes]]):
    """Of ``inputs``, (N, ...) each, little-endian: N lists of bytes, one for each input."""

    def __init__(self, inputs: Sequence[Array], numbers: range | None = None) -> None:
        self._inputs = inputs
        self._numbers = range(len(inputs[0])) if numbers is None else numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, key: int) -> list[bytes]: ...
    @overload
    def __getitem__(self, key: slice) -> Rows: ...
    def __getitem__(self, key: int | slice) -> list[bytes] | Rows:
        if isinstance(key, slice):
            return Rows(self._inputs, self._numbers[key])
        row = self._numbers[key]
        return [x[row].astype(x.dtype.newbyteorder("<")).tobytes() for x in self._inputs]

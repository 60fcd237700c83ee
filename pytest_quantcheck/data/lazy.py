"""``Lazy``: an array whose rows are made when they are asked for, so that any number of them fits in memory.

It stands where an array (N, ...) stands: slices of it are arrays, ``np.asarray`` makes all of it at once.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array, IntArray

BLOCK = 32
"""Rows that are made at once where somebody goes through all of them."""
Index = IntArray


class Lazy:
    """``rows(index)`` makes the rows at ``index`` (K,), as an array (K, ...) of ``dtype``; ``identity(row)``
    tells what a row is made of without making it, for comparisons by content.

    Who goes through the rows from front to back finds the next ones made already, by a thread.
    """

    def __init__(
        self,
        count: int,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        rows: Callable[[Index], Array],
        identity: Callable[[int], bytes],
        index: Index | None = None,
    ) -> None:
        self.index = np.arange(count, dtype=np.int64) if index is None else index
        self.shape = (len(self.index), *shape)
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._rows, self._identity = rows, identity
        self._ahead: tuple[tuple[int, int], Future[Array]] | None = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Lazy({self.dtype}{list(self.shape)})"

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("rows that are made when asked for are always new")
        whole = np.empty(self.shape, self.dtype)
        for start, block in self.numbered_blocks():
            whole[start : start + len(block)] = block
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Array:
        """Arrays, for what an array (N, ...) takes; of several axes the first one chooses the rows."""
        first, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(first, (int, np.integer)):
            at = range(len(self))[int(first)]
            row: Array = self._made(at, at + 1)[0]
            return np.asarray(row[tuple(rest)]) if rest else row
        if isinstance(first, slice):
            start, stop, step = first.indices(len(self))
            rows = self._made(start, max(start, stop)) if step == 1 else self._rows(self.index[first])
        else:
            rows = self._rows(self.index[np.asarray(first)])
        return rows[(slice(None), *rest)] if rest else rows

    def take(self, index: Index) -> Lazy:
        """The rows at ``index``, not made yet."""
        return Lazy(0, self.shape[1:], self.dtype, self._rows, self._identity, self.index[index])

    def astype(self, dtype: npt.DTypeLike, **_: object) -> Lazy:
        """The same rows in another type."""
        kind = np.dtype(dtype)
        return self if kind == self.dtype else self.map(lambda x: x.astype(kind), dtype=kind)

    def reshape(self, *shape: int) -> Lazy:
        """The same rows in another shape; the number of rows stays."""
        if shape[0] not in (len(self), -1) or math.prod(shape[1:]) != math.prod(self.shape[1:]):
            raise UsageError(f"rows of shape {self.shape[1:]} do not become {shape}")
        return self.map(lambda x: x.reshape(len(x), *shape[1:]), shape=shape[1:])

    def map(
        self,
        function: Callable[[Array], Array],
        *,
        shape: tuple[int, ...] | None = None,
        dtype: npt.DTypeLike | None = None,
    ) -> Lazy:
        """What ``function`` makes of blocks (K, ...) of rows: of ``shape`` each, and of ``dtype``."""
        return Lazy(
            0,
            self.shape[1:] if shape is None else shape,
            self.dtype if dtype is None else dtype,
            lambda index: function(self._rows(index)),
            self._identity,
            self.index,
        )

    def digest(self, row: int) -> bytes:
        """What a row is, by the content that it is made of."""
        return hashlib.sha256(self._identity(int(self.index[row]))).digest()

    def numbered_blocks(self, size: int = BLOCK) -> Iterator[tuple[int, Array]]:
        """All rows in blocks of up to ``size``, each with the number of its first row."""
        for start in range(0, len(self), size):
            yield start, self._made(start, min(start + size, len(self)))

    def _made(self, start: int, stop: int) -> Array:
        """Rows ``start`` to ``stop``; the ones behind them are begun."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == (start, stop):
            made = ahead[1].result()
        else:
            made = self._rows(self.index[start:stop])
        following = stop, min(2 * stop - start, len(self))
        if 1 < stop - start < len(self) and following[1] > stop:
            self._ahead = following, _thread().submit(self._rows, self.index[slice(*following)])
        return made


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="quantcheck-ahead")


def blocks(arrays: Sequence[Array | Lazy], size: int = BLOCK) -> Iterator[tuple[int, tuple[Array, ...]]]:
    """Several arrays of the same length side by side, in blocks: the first row's number and the blocks."""
    for start in range(0, len(arrays[0]), size):
        yield start, tuple(np.asarray(array[start : start + size]) for array in arrays)

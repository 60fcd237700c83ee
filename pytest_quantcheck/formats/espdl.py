"""An ``.espdl`` file of ESP-DL 2 and later as plain values, without judging what it asks for.

A 16-byte header, then a FlatBuffer: graph, integers with exponents, and one test vector. Every offset is
checked against the file; nothing is followed that the file does not hold.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.numerics.arrays import Array

IDENTIFIER = b"EDL2"
HEADER_BYTES = 16
UNIT = 16  # bytes: raw data are counted in them
MAX_FILE_BYTES = 1 << 28
MAX_RECORDS = 10_000
_MOST_READINGS, _SPARE = 4, 1 << 20  # of each byte, on average; names may be read more often
MAX_RANK = 8
DTYPES = {1: "float32", 3: "int8", 5: "int16", 6: "int32", 7: "int64"}
INT, FLOAT, STRING, TENSOR, FLOATS, INTS = 2, 1, 3, 4, 6, 7


@dataclass(frozen=True, eq=False)
class EspdlTensor:
    """Integers as they lie in the file; ``layout`` says how, ``shape`` is that of the source."""

    name: str
    shape: tuple[int, ...]
    data: Array
    exponents: tuple[int, ...]
    layout: str = ""


@dataclass(frozen=True)
class EspdlValue:
    """An activation: ``shape`` as the chip has it (NHWC), one exponent."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    exponents: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class EspdlNode:
    """One operator."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True, eq=False)
class EspdlModel:
    """The graph; ``values`` and ``constants`` by name. ``test_inputs`` and ``test_outputs`` hold a tensor for
    each vector and name, or none. ``opsets``: domain and version, as the file says them.
    """

    nodes: tuple[EspdlNode, ...]
    inputs: tuple[EspdlValue, ...]
    outputs: tuple[EspdlValue, ...]
    values: dict[str, EspdlValue]
    constants: dict[str, EspdlTensor]
    test_inputs: tuple[EspdlTensor, ...] = field(default=())
    test_outputs: tuple[EspdlTensor, ...] = field(default=())
    opsets: tuple[tuple[str, int], ...] = ()


def is_espdl(data: bytes) -> bool:
    """Whether bytes are meant as an ``.espdl`` file."""
    return data[:4] == IDENTIFIER


def parse(data: bytes) -> EspdlModel:
    """Read a file. Raises ``ModelError`` for what is damaged, encrypted or too large."""
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(f"the .espdl file has {len(data)} bytes; at most {MAX_FILE_BYTES} are read")
    if len(data) < HEADER_BYTES + 4 or not is_espdl(data):
        raise ModelError("not an .espdl file: it does not begin with EDL2 and its length")
    encrypted, length, _ = struct.unpack_from("<3I", data, 4)
    if encrypted:
        raise ModelError("the .espdl file is encrypted; export it without a key")
    body = data[HEADER_BYTES : HEADER_BYTES + length]
    if len(body) < length:
        raise ModelError(f"the .espdl file ends after {len(body)} of {length} bytes")
    try:
        root = _root(body)
        graph = root.table(7)
        if graph is None:
            raise ModelError("the .espdl file holds no graph")
        return replace(_model(graph), opsets=tuple((s.text(0), s.scalar(1, "q")) for s in root.tables(1)))
    except (struct.error, ValueError, OverflowError, RecursionError) as error:
        raise ModelError(f"the .espdl file is damaged: {error}") from error


def stacked(tensors: Sequence[EspdlTensor], names: Sequence[str]) -> list[Array]:
    """Test vectors of the named inputs or outputs, (N, ...) each: a file holds a tensor per name and vector.

    Raises ``ModelError`` where they do not fit together.
    """
    found = []
    for name in names:
        its = [each for each in tensors if each.name == name]
        if not its:
            raise ModelError(f"the test vector of the .espdl file has nothing for '{name}'")
        if len({(each.shape, each.data.dtype) for each in its}) > 1:
            raise ModelError(f"the test vectors for '{name}' in the .espdl file have several shapes or types")
        count = int(np.prod(its[0].shape, dtype=np.int64))
        rows = np.stack([each.data[:count].reshape(each.shape) for each in its])
        found.append(rows.astype(rows.dtype.newbyteorder("=")))
    if len({len(rows) for rows in found}) > 1:
        raise ModelError(f"the .espdl file holds {', '.join(str(len(rows)) for rows in found)} test vectors")
    return found


class _Content(bytes):
    """A file, and how much of it was handed out: records that share their bytes must not multiply them."""

    spent = 0

    def take(self, start: int, count: int) -> bytes:
        """Bytes that lie in the file. Raises ``ModelError``."""
        self.spent += count
        if start + count > len(self) or self.spent > _MOST_READINGS * len(self) + _SPARE:
            raise ModelError("the .espdl file is damaged: records lead out of it or share their bytes")
        return self[start : start + count]


class _Table:
    """A FlatBuffer table: fields by their number."""

    def __init__(self, data: _Content, at: int) -> None:
        self._data, self._at = data, at
        vtable = at - _read(data, "<i", at)
        size = _read(data, "<H", vtable)
        self._offsets = [_read(data, "<H", vtable + i) for i in range(4, size, 2)]

    def _place(self, number: int) -> int:
        """Where a field lies, 0 when it is absent."""
        offset = self._offsets[number] if number < len(self._offsets) else 0
        return self._at + offset if offset else 0

    def scalar(self, number: int, kind: str) -> Any:
        at = self._place(number)
        return _read(self._data, f"<{kind}", at) if at else 0

    def table(self, number: int) -> _Table | None:
        at = self._place(number)
        return _Table(self._data, at + _read(self._data, "<I", at)) if at else None

    def _vector(self, number: int, item: int) -> tuple[int, int]:
        """Where the items of a vector start and how many there are; all lie in the file."""
        at = self._place(number)
        if not at:
            return 0, 0
        at += _read(self._data, "<I", at)
        count = _read(self._data, "<I", at)
        if at + 4 + count * item > len(self._data):
            raise ModelError("the .espdl file is damaged: a vector leads out of it")
        return at + 4, count

    def tables(self, number: int) -> list[_Table]:
        start, count = self._vector(number, 4)
        if count > MAX_RECORDS:
            raise ModelError(f"the .espdl file has {count} records of a kind; at most {MAX_RECORDS} are read")
        self._data.take(start, 4 * count)
        places = range(start, start + 4 * count, 4)
        return [_Table(self._data, at + _read(self._data, "<I", at)) for at in places]

    def array(self, number: int, kind: str) -> Array:
        """A vector of numbers."""
        dtype = np.dtype(kind)
        start, count = self._vector(number, dtype.itemsize)
        return np.frombuffer(self._data, dtype, count, start) if count else np.zeros(0, dtype)

    def raw(self, number: int) -> bytes:
        """A vector of 16-byte units."""
        start, count = self._vector(number, UNIT)
        return self._data.take(start, UNIT * count)

    def text(self, number: int) -> str:
        start, count = self._vector(number, 1)
        return self._data.take(start, count).decode("utf-8", "replace")

    def texts(self, number: int) -> tuple[str, ...]:
        start, count = self._vector(number, 4)
        if count > MAX_RECORDS:
            raise ModelError(
                f"an operator of the .espdl file has {count} names; at most {MAX_RECORDS} are read"
            )
        found = []
        for at in range(start, start + 4 * count, 4):
            place = at + _read(self._data, "<I", at)
            length = _read(self._data, "<I", place)
            found.append(self._data.take(place + 4, length).decode("utf-8", "replace"))
        return tuple(found)


def _read(data: bytes, kind: str, at: int) -> Any:
    if at < 0:
        raise ModelError("the .espdl file is damaged: an offset leads out of it")
    return struct.unpack_from(kind, data, at)[0]


def _root(data: bytes) -> _Table:
    return _Table(_Content(data), _read(data, "<I", 0))


def _model(graph: _Table) -> EspdlModel:
    inputs, outputs, between = ([_value(each) for each in graph.tables(n)] for n in (4, 5, 6))
    constants = [_tensor(each) for each in graph.tables(2)]
    return EspdlModel(
        tuple(_node(each) for each in graph.tables(0)),
        tuple(inputs),
        tuple(outputs),
        {value.name: value for value in (*between, *inputs, *outputs)},
        {tensor.name: tensor for tensor in constants},
        tuple(_tensor(each) for each in graph.tables(8)),
        tuple(_tensor(each) for each in graph.tables(9)),
    )


def _node(table: _Table) -> EspdlNode:
    given = {each.text(0): _attribute(each) for each in table.tables(5)}
    return EspdlNode(table.text(3), table.text(2), table.texts(0), table.texts(1), given)


def _attribute(table: _Table) -> Any:
    kind = table.scalar(3, "i")
    if kind == INT:
        return table.scalar(5, "q")
    if kind == FLOAT:
        return table.scalar(4, "f")
    if kind == STRING:
        return table.array(6, "u1").tobytes().decode("utf-8", "replace")
    if kind == INTS:
        return [int(n) for n in table.array(11, "<i8")]
    if kind == FLOATS:
        return [float(n) for n in table.array(10, "<f4")]
    if kind == TENSOR and (tensor := table.table(7)) is not None:
        return _tensor(tensor)
    return None


def _exponents(table: _Table, number: int) -> tuple[int, ...]:
    return tuple(int(n) for n in table.array(number, "<i8"))


def _shape(sizes: list[int]) -> tuple[int, ...]:
    if len(sizes) > MAX_RANK or any(not 0 < n < 1 << 31 for n in sizes):
        raise ModelError(f"a tensor of the .espdl file has the shape {sizes[: MAX_RANK + 1]}")
    return tuple(sizes)


def _tensor(table: _Table) -> EspdlTensor:
    name, kind = table.text(6), table.scalar(1, "i")
    if kind not in DTYPES:
        raise ModelError(f"tensor '{name}' of the .espdl file has the unknown type {kind}")
    dtype = np.dtype(DTYPES[kind]).newbyteorder("<")
    raw = table.raw(8)
    data: Array = np.frombuffer(raw[: len(raw) // dtype.itemsize * dtype.itemsize], dtype)
    shape = _shape([int(n) for n in table.array(0, "<i8")])
    if len(data) < int(np.prod(shape, dtype=np.float64)):
        raise ModelError(f"tensor '{name}' of the .espdl file has the shape {shape}, but {len(data)} values")
    layout = table.text(7).rpartition("==> ")[2]
    return EspdlTensor(name, shape, data, _exponents(table, 13), layout)


def _value(table: _Table) -> EspdlValue:
    name, kind = table.text(0), table.table(1)
    tensor = kind.table(1) if kind is not None and kind.scalar(0, "B") == 1 else None
    shape = tensor.table(1) if tensor is not None else None
    if tensor is None or shape is None:
        raise ModelError(f"'{name}' of the .espdl file is no tensor with a shape")
    sizes = []
    for each in shape.tables(0):
        size = each.table(0)
        sizes.append(size.scalar(1, "q") if size is not None and size.scalar(0, "b") == 1 else 0)
    dtype = DTYPES.get(tensor.scalar(0, "i"), "")
    return EspdlValue(name, _shape(sizes), dtype, _exponents(table, 3))

"""The bytes of an ``.espdl`` file, of which ``espdl.parse`` makes the same plain values again."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.espdl import (
    DTYPES,
    FLOAT,
    FLOATS,
    HEADER_BYTES,
    IDENTIFIER,
    INT,
    INTS,
    MAX_FILE_BYTES,
    STRING,
    UNIT,
    EspdlModel,
    EspdlNode,
    EspdlTensor,
    EspdlValue,
)

IR_VERSION = 9
_CODES = {name: code for code, name in DTYPES.items()}


def serialize(model: EspdlModel) -> bytes:
    """The file, unencrypted. Raises ``ModelError`` for what the format has no place for."""
    writer = _Writer()
    graph = writer.graph(model)
    opsets = writer.opsets(model)
    edges: list[Field] = [(1, "UOffsetTRelative", opsets), (7, "UOffsetTRelative", graph)]
    root = writer.table(10, [(0, "Int32", IR_VERSION), *edges])
    body = writer.finish(root)
    if HEADER_BYTES + len(body) > MAX_FILE_BYTES:
        raise ModelError(f"the .espdl file would have {len(body)} bytes; at most {MAX_FILE_BYTES} are read")
    return IDENTIFIER + struct.pack("<3I", 0, len(body), 0) + body


def _code(name: str, dtype: str) -> int:
    if dtype not in _CODES:
        raise ModelError(
            f"tensor '{name}' is {dtype or 'of an unknown type'}; allowed: {', '.join(_CODES)}. Leave it "
            "out, or export the file again with another type"
        )
    return _CODES[dtype]


Field = tuple[int, str, Any]
"""Number, kind of slot in flatbuffers' words, value."""


class _Writer:
    def __init__(self) -> None:
        self._builder: Any = flatbuffers.Builder(1 << 16)

    def finish(self, root: int) -> bytes:
        """The body: raw data lie at multiples of 16 from its start, as that does in the file."""
        self._builder.Finish(root)
        return bytes(self._builder.Output())

    def table(self, size: int, given: Sequence[Field]) -> int:
        builder = self._builder
        builder.StartObject(size)
        for number, kind, value in given:
            if kind == "struct":
                made = self._struct(value)
                builder.PrependStructSlot(number, made, 0)
            else:
                getattr(builder, f"Prepend{kind}Slot")(number, value, 0)
        return int(builder.EndObject())

    def _struct(self, value: int | float) -> int:
        whole = isinstance(value, int)
        self._builder.Prep(*((8, 8) if whole else (4, 4)))
        getattr(self._builder, "PrependInt64" if whole else "PrependFloat32")(value)
        return int(self._builder.Offset())

    def text(self, text: str) -> int:
        return int(self._builder.CreateString(text))

    def numbers(self, values: Sequence[int | float], kind: str) -> int:
        return int(self._builder.CreateNumpyVector(np.asarray(values, kind)))

    def offsets(self, places: Sequence[int]) -> int:
        self._builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            self._builder.PrependUOffsetTRelative(place)
        return int(self._builder.EndVector())

    def raw(self, data: bytes) -> int:
        """Whole units of 16 bytes, at an address that is a multiple of it."""
        units = -(-len(data) // UNIT)
        builder, whole = self._builder, data.ljust(units * UNIT, b"\0")
        builder.StartVector(UNIT, units, UNIT)
        builder.head = builder.Head() - len(whole)
        builder.Bytes[builder.Head() : builder.Head() + len(whole)] = whole
        return int(builder.EndVector())

    def opsets(self, model: EspdlModel) -> int:
        sets = [[(0, "UOffsetTRelative", self.text(name)), (1, "Int64", v)] for name, v in model.opsets]
        return self.offsets([self.table(2, each) for each in sets])

    def graph(self, model: EspdlModel) -> int:
        edges = {value.name for value in (*model.inputs, *model.outputs)}
        between = [value for name, value in model.values.items() if name not in edges]
        parts = (
            (0, [self._node(each) for each in model.nodes]),
            (2, [self._tensor(each) for each in model.constants.values()]),
            (4, [self._value(each) for each in model.inputs]),
            (5, [self._value(each) for each in model.outputs]),
            (6, [self._value(each) for each in between]),
            (8, [self._tensor(each) for each in model.test_inputs]),
            (9, [self._tensor(each) for each in model.test_outputs]),
        )
        made: list[Field] = [(number, "UOffsetTRelative", self.offsets(each)) for number, each in parts]
        return self.table(10, [(1, "UOffsetTRelative", self.text("graph")), *made])

    def _node(self, node: EspdlNode) -> int:
        attributes = [self._attribute(name, value) for name, value in sorted(node.attributes.items())]
        names = [self.offsets([self.text(each) for each in group]) for group in (node.inputs, node.outputs)]
        made = (*names, self.text(node.name), self.text(node.kind))
        fields: list[Field] = [(number, "UOffsetTRelative", place) for number, place in enumerate(made)]
        return self.table(7, [*fields, (5, "UOffsetTRelative", self.offsets(attributes))])

    def _attribute(self, name: str, value: Any) -> int:
        title: Field = (0, "UOffsetTRelative", self.text(name))
        if isinstance(value, int):
            return self.table(16, [title, (3, "Int32", INT), (5, "struct", value)])
        if isinstance(value, float):
            return self.table(16, [title, (3, "Int32", FLOAT), (4, "struct", value)])
        if isinstance(value, str):
            content = int(self._builder.CreateByteVector(value.encode()))
            return self.table(16, [title, (3, "Int32", STRING), (6, "UOffsetTRelative", content)])
        if isinstance(value, list) and all(isinstance(each, int) for each in value):
            content = self.numbers(value, "<i8")
            return self.table(16, [title, (3, "Int32", INTS), (11, "UOffsetTRelative", content)])
        if isinstance(value, list) and all(isinstance(each, float) for each in value):
            content = self.numbers(value, "<f4")
            return self.table(16, [title, (3, "Int32", FLOATS), (10, "UOffsetTRelative", content)])
        told = f"the attribute '{name}' is {type(value).__name__}"
        raise ModelError(f"{told}; integers, floats, texts and lists of numbers are written")

    def _tensor(self, tensor: EspdlTensor) -> int:
        code = _code(tensor.name, tensor.data.dtype.name)
        little = np.ascontiguousarray(tensor.data, tensor.data.dtype.newbyteorder("<"))
        made: list[Field] = [
            (8, "UOffsetTRelative", self.raw(little.tobytes())),
            (0, "UOffsetTRelative", self.numbers(tensor.shape, "<i8")),
            (6, "UOffsetTRelative", self.text(tensor.name)),
            (7, "UOffsetTRelative", self.text(f"layout ==> {tensor.layout}" if tensor.layout else "")),
            (13, "UOffsetTRelative", self.numbers(tensor.exponents, "<i8")),
        ]
        return self.table(14, [*made, (1, "Int32", code)])

    def _value(self, value: EspdlValue) -> int:
        code = _code(value.name, value.dtype)
        sizes = []
        for size in value.shape:
            number = self.table(3, [(0, "Int8", 1), (1, "Int64", size)])
            sizes.append(self.table(2, [(0, "UOffsetTRelative", number)]))
        shape = self.table(1, [(0, "UOffsetTRelative", self.offsets(sizes))])
        kind = self.table(2, [(0, "Int32", code), (1, "UOffsetTRelative", shape)])
        known = self.table(3, [(0, "Uint8", 1), (1, "UOffsetTRelative", kind)])
        title, exponents = self.text(value.name), self.numbers(value.exponents, "<i8")
        return self.table(
            4,
            [
                (0, "UOffsetTRelative", title),
                (1, "UOffsetTRelative", known),
                (3, "UOffsetTRelative", exponents),
            ],
        )

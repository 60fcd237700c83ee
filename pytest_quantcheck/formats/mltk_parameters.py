"""``SL_PARAMSv1``: the parameters that MLTK keeps in a ``.tflite`` file, a dictionary as a flatbuffer.

Dictionary {schema_version: u8 = 1; entries: [{key: string; value: union}]}. Source of the layout: *Model
Parameters* in the documentation of Silicon Labs' MLTK; kinds of values are numbered as in ``KINDS``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any, Union

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from flatbuffers import number_types

from pytest_quantcheck.errors import ModelError, UsageError

TAG = "SL_PARAMSv1"
VERSION = 1
MAX_ENTRIES = 4096
Value = Union[bool, int, float, str, bytes, list[str], list[int], list[float]]
KINDS = (
    "none", "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32",
    "float64", "str", "str_list", "int32_list", "float_list", "bin",
)  # fmt: skip
_FLAGS = {
    "bool": number_types.BoolFlags,
    **{f"int{n}": getattr(number_types, f"Int{n}Flags") for n in (8, 16, 32, 64)},
    **{f"uint{n}": getattr(number_types, f"Uint{n}Flags") for n in (8, 16, 32, 64)},
    "float32": number_types.Float32Flags,
    "float64": number_types.Float64Flags,
}
_LISTS = {"int32_list": "<i4", "float_list": "<f4"}


def decode(data: bytes) -> dict[str, Value]:
    """The parameters. Raises ``ModelError`` for damaged ones, and for a version that is not known."""
    try:
        root = flatbuffers.table.Table(bytearray(data), struct.unpack_from("<I", data)[0])
        version = _number(root, 0, number_types.Uint8Flags)
        if version != VERSION:
            raise ModelError(f"{TAG} of version {version}; {VERSION} is known")
        found = {}
        for place in _vector(root, 1, MAX_ENTRIES):
            entry = flatbuffers.table.Table(root.Bytes, root.Indirect(place))
            key = _text(entry, entry.Pos + _slot(entry, 0))
            kind = KINDS[_number(entry, 1, number_types.Uint8Flags)]
            if kind != "none":
                value = flatbuffers.table.Table(root.Bytes, entry.Indirect(entry.Pos + _slot(entry, 2)))
                found[key] = _decoded(value, kind)
        return found
    except ModelError:
        raise
    except Exception as error:  # whatever following a damaged offset leads to
        raise ModelError(f"{TAG} is damaged ({type(error).__name__}: {error})") from error


def encode(parameters: Mapping[str, Value]) -> bytes:
    """The flatbuffer, in the order of ``parameters``; numbers in the smallest kind that holds them.

    Raises ``UsageError`` for a value of no known kind.
    """
    builder = flatbuffers.Builder(256)
    entries = []
    for key, value in parameters.items():
        kind = kind_of(key, value)
        text, made = builder.CreateString(key), _encoded(builder, kind, value)
        builder.StartObject(3)
        builder.PrependUOffsetTRelativeSlot(0, text, 0)
        builder.PrependUint8Slot(1, KINDS.index(kind), 0)
        builder.PrependUOffsetTRelativeSlot(2, made, 0)
        entries.append(builder.EndObject())
    listed = _offsets(builder, entries)
    builder.StartObject(2)
    builder.PrependUint8Slot(0, VERSION, 0)
    builder.PrependUOffsetTRelativeSlot(1, listed, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def kind_of(key: str, value: object) -> str:
    """The kind that a value is stored as. Raises ``UsageError``."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        kinds = ("uint8", "uint16", "uint32", "uint64") if value >= 0 else ("int8", "int16", "int32", "int64")
        for kind in kinds:
            if np.iinfo(kind).min <= value <= np.iinfo(kind).max:
                return kind
    elif isinstance(value, float):
        return (
            "float32"
            if value == 0 or not math.isfinite(value) or 1.2e-38 < abs(value) < 3.4e38
            else "float64"
        )
    elif isinstance(value, (str, bytes)):
        return "str" if isinstance(value, str) else "bin"
    elif isinstance(value, list):
        if all(isinstance(each, str) for each in value):
            return "str_list"
        if all(type(each) is int and -(2**31) <= each < 2**31 for each in value):
            return "int32_list"
        if all(type(each) in (int, float) for each in value) and any(type(each) is float for each in value):
            return "float_list"
    raise UsageError(
        f"parameter {key!r} is {str(value)[:60]!r}; allowed: a truth value, a number, a text, bytes, and "
        "lists of texts, of whole numbers below 2^31, or of numbers"
    )


def _slot(table: Any, field: int) -> int:
    offset = int(table.Offset(4 + 2 * field))
    if not offset:
        raise ModelError(f"{TAG} is damaged: an entry lacks its key or value")
    return offset


def _number(table: Any, field: int, flags: Any) -> Any:
    offset = table.Offset(4 + 2 * field)
    return table.Get(flags, table.Pos + offset) if offset else flags.py_type(0)


def _vector(table: Any, field: int, most: int) -> range:
    """The places of a vector's entries of four bytes each."""
    offset = table.Offset(4 + 2 * field)
    count = table.VectorLen(offset) if offset else 0
    if count > most:
        raise ModelError(f"{TAG} claims {count} entries; at most {most} are read")
    start = table.Vector(offset) if offset else 0
    return range(start, start + 4 * count, 4)


def _text(table: Any, place: int) -> str:
    return bytes(table.String(place)).decode("utf-8", "replace")


def _decoded(table: Any, kind: str) -> Value:
    if kind in _FLAGS:
        value: Value = _number(table, 0, _FLAGS[kind])
        return value
    if kind == "str":
        return _text(table, table.Pos + _slot(table, 0))
    if kind == "str_list":
        return [_text(table, place) for place in _vector(table, 0, len(table.Bytes))]
    if kind == "bin":
        offset = _slot(table, 0)
        start, size = table.Vector(offset), table.VectorLen(offset)
        return bytes(table.Bytes[start : start + size])
    places = _vector(table, 0, len(table.Bytes))
    numbers: list[int] | list[float] = np.frombuffer(
        bytes(table.Bytes[places.start : places.stop]), _LISTS[kind]
    ).tolist()
    return numbers


def _encoded(builder: flatbuffers.Builder, kind: str, value: Any) -> int:
    content = None
    if kind == "str":
        content = builder.CreateString(value)
    elif kind == "str_list":
        content = _offsets(builder, [builder.CreateString(each) for each in value])
    elif kind == "bin":
        content = builder.CreateByteVector(value)
    elif kind in _LISTS:
        content = builder.CreateNumpyVector(np.asarray(value, _LISTS[kind]))
    builder.StartObject(1)
    if content is not None:
        builder.PrependUOffsetTRelativeSlot(0, content, 0)
    else:
        builder.PrependSlot(_FLAGS[kind], 0, value, 0)
    return int(builder.EndObject())


def _offsets(builder: flatbuffers.Builder, places: list[int]) -> int:
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return int(builder.EndVector())

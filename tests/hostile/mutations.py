"""Damage to model files: bytes flipped, zeroed, maximised and cut off, and fields changed where they stand.

``mutant(data, seed)`` gives the same bytes whenever it is called.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema

from pytest_quantcheck.formats.detect import TFLITE_IDENTIFIER, is_onnx

SPECIAL = (0, 1, -1, 2, 3, 127, 128, 255, -128, 65535, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))
SPECIAL_FLOATS = (0.0, -1.0, 1e-38, 3e38, float("inf"), float("nan"), 1e-9, 1e9)
HEAD = 400  # bytes: what stands there decides how the rest is read
_TRIES = 20


def mutant(data: bytes, seed: str | int) -> bytes:
    """``data`` damaged in one to four places of one kind."""
    rng = random.Random(seed)
    kind = rng.choice((_flip, _fill, _cut, _fields, _fields, _fields))
    return kind(rng, data)


def _place(rng: random.Random, data: bytes) -> int:
    """Anywhere, or every third time in the head."""
    return rng.randrange(min(HEAD, len(data)) if rng.random() < 1 / 3 else len(data))


def _flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        changed[_place(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _fill(rng: random.Random, data: bytes) -> bytes:
    """A run of zeros or of ones."""
    at, size = _place(rng, data), rng.choice((1, 2, 4, 8, 64))
    return data[:at] + bytes([rng.choice((0, 255))]) * len(data[at : at + size]) + data[at + size :]


def _cut(rng: random.Random, data: bytes) -> bytes:
    """Without its end, without a middle, or with a part of it twice."""
    at, size = _place(rng, data), rng.choice((1, 4, 16, 256))
    way = rng.randrange(3)
    return data[:at] if way == 0 else data[:at] + data[at + (size if way == 1 else -size) :]


def _fields(rng: random.Random, data: bytes) -> bytes:
    """Fields changed or swapped in an otherwise sound file; what the format cannot hold is tried anew."""
    change = _protobuf if is_onnx(data) else _flatbuffer
    for _ in range(_TRIES):
        try:
            changed = change(rng, data, rng.randint(1, 4))
        except Exception:  # out of the field's range; the libraries have many names for it
            continue
        if changed != data:
            return changed
    return _flip(rng, data)


@dataclass(frozen=True)
class _Field:
    """A number, text or list of the file, with the way to write it."""

    value: Any
    write: Callable[[Any], None]

    @property
    def kind(self) -> str:
        if isinstance(self.value, (list, tuple, np.ndarray)):
            return "list"
        return type(self.value).__name__


def _change(rng: random.Random, fields: Sequence[_Field]) -> None:
    field = rng.choice(fields)
    others = [other for other in fields if other.kind == field.kind and other is not field]
    if others and rng.random() < 0.4:
        other = rng.choice(others)
        field.write(other.value)
        other.write(field.value)
        return
    field.write(_another(rng, field.value))


def _another(rng: random.Random, value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((*SPECIAL, value + 1, value - 1, value * 2, -value))
    if isinstance(value, float):
        return rng.choice((*SPECIAL_FLOATS, -value, value * 2, value / 2))
    if isinstance(value, str):
        return rng.choice(("", value + "x", value[:1], "\0", "é" * 300))
    if isinstance(value, bytes):
        return rng.choice((b"", value[:-1], value + b"\xff", b"\xff\xfe" + value, value * 2))
    return _another_list(rng, value)


def _another_list(rng: random.Random, value: Any) -> Any:
    items = list(value)
    way = rng.randrange(6)
    if way == 0 or not items:
        return []
    at = rng.randrange(len(items))
    if way == 1:
        del items[at]
    elif way == 2:
        items.insert(at, items[at])
    elif way == 3:
        other = rng.randrange(len(items))
        items[at], items[other] = items[other], items[at]
    elif isinstance(items[at], (bool, int, float, str, bytes, np.generic)):
        plain = items[at].item() if isinstance(items[at], np.generic) else items[at]
        items[at] = _another(rng, plain)
    else:
        items = items[:at]
    return items


# --- .tflite --------------------------------------------------------------------------------------


def _flatbuffer(rng: random.Random, data: bytes, count: int) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(bytearray(data), 0)
    for _ in range(count):
        _change(rng, list(_table_fields(model)))
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), TFLITE_IDENTIFIER)
    return bytes(builder.Output())


def _table_fields(table: Any) -> Iterator[_Field]:
    """All fields of a table of the object interface and of those below it."""
    for name, value in vars(table).items():
        if isinstance(value, (bool, int, float, str, bytes, list, np.ndarray)):
            yield _Field(value, lambda new, name=name: setattr(table, name, new))
        below = value if isinstance(value, list) else [value]
        for each in below:
            if hasattr(each, "Pack"):
                yield from _table_fields(each)


# --- .onnx ----------------------------------------------------------------------------------------


def _protobuf(rng: random.Random, data: bytes, count: int) -> bytes:
    model = onnx.ModelProto.FromString(data)
    for _ in range(count):
        _change(rng, list(_message_fields(model)))
    return bytes(model.SerializeToString())


def _message_fields(message: Any) -> Iterator[_Field]:
    """All fields of a message that are set, and of those below it."""
    for descriptor, value in message.ListFields():
        name = descriptor.name
        if isinstance(value, (bool, int, float, str, bytes)):
            yield _Field(value, lambda new, name=name: setattr(message, name, new))
            continue
        if not hasattr(value, "append"):  # a message
            yield from _message_fields(value)
            yield _Field([], lambda new, name=name: message.ClearField(name))
            continue
        yield _Field(list(value), lambda new, name=name: _write_list(message, name, new))
        if descriptor.type == descriptor.TYPE_MESSAGE:
            for each in value:
                yield from _message_fields(each)


def _write_list(message: Any, name: str, items: Sequence[Any]) -> None:
    kept = [_copy(item) for item in items]
    message.ClearField(name)
    getattr(message, name).extend(kept)


def _copy(item: Any) -> Any:
    """What stays when the message it belongs to forgets it."""
    return type(item).FromString(item.SerializeToString()) if hasattr(item, "ListFields") else item

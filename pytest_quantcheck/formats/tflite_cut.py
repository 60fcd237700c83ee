"""What the host does is cut off a ``.tflite`` file: its last operator, and outputs that are constants.

The inputs of the operator become outputs; no other byte moves.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import tflite
from flatbuffers import flexbuffers  # type: ignore[import-untyped]

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.summary import TensorSummary
from pytest_quantcheck.formats.tflite import read_tflite_summary

_OUTPUTS, _OPERATORS, _SIGNATURES = (
    8,
    10,
    18,
)  # of SubGraph, SubGraph, Model: offsets in their vtables (schema.fbs)
MOST_OPTIONS = 64


@dataclass(frozen=True, eq=False)
class Cut:
    """A file without its last operator; ``inputs`` are what that took, ``options`` its settings by name."""

    content: bytes = field(repr=False)
    inputs: tuple[TensorSummary, ...]
    options: dict[str, Any]


def cut_custom_operator(content: bytes, name: str, outputs: int) -> Cut | None:
    """``content`` without the custom operator ``name`` at its end; the first ``outputs`` of its inputs become
    the outputs. None where the file does not end so. Raises ``ModelError`` for damaged files.

    Signatures, which name the old outputs, are dropped.
    """
    if name.encode() not in content:
        return None
    summary = read_tflite_summary(content)
    last = summary.operators[-1] if summary.operators else None
    if last is None or last.kind != f"CUSTOM:{name}" or set(last.outputs) != set(summary.outputs):
        return None
    if len(last.inputs) < outputs or min(last.inputs) < 0 or len(summary.outputs) < outputs:
        raise ModelError(f"its last operator {name} has {len(last.inputs)} inputs")
    changed = bytearray(content)
    try:
        model = tflite.Model.GetRootAsModel(changed, 0)
        graph = model.Subgraphs(0)
        options = _options(graph.Operators(last.index).CustomOptionsAsNumpy())
        at, count = _vector(graph._tab, _OUTPUTS)
        struct.pack_into(f"<{outputs + 1}i", changed, at - 4, outputs, *last.inputs[:outputs])
        at, count = _vector(graph._tab, _OPERATORS)
        struct.pack_into("<I", changed, at - 4, count - 1)
        _drop_signatures(changed, model)
    except (struct.error, LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ModelError(f"the options of its last operator {name} are damaged ({error})") from error
    return Cut(bytes(changed), tuple(summary.tensors[i] for i in last.inputs), options)


def _drop_signatures(changed: bytearray, model: Any) -> None:
    if model.SignatureDefsLength():
        at, _ = _vector(model._tab, _SIGNATURES)
        struct.pack_into("<I", changed, at - 4, 0)


def _vector(table: Any, slot: int) -> tuple[int, int]:
    """Where a vector's elements begin, and how many there are."""
    offset = table.Offset(slot)
    return table.Vector(offset), table.VectorLen(offset)


def _options(raw: Any) -> dict[str, Any]:
    """Numbers and truth values of a FlexBuffer's map, by name."""
    if isinstance(raw, int):
        return {}
    given = flexbuffers.GetRoot(bytearray(raw.tobytes())).AsMap
    if len(given) > MOST_OPTIONS:
        raise ValueError(f"{len(given)} settings")
    found: dict[str, Any] = {}
    for key, value in zip(given.Keys, given.Values, strict=True):
        if value.IsBool or value.IsInt or value.IsFloat:
            found[key.AsKey] = (
                value.AsBool if value.IsBool else value.AsFloat if value.IsFloat else value.AsInt
            )
    return found


def cut_constant_outputs(content: bytes) -> tuple[bytes, dict[int, TensorSummary]]:
    """``content`` without outputs that are constants, and those by their old position; some output is left.

    Signatures, which name the old outputs, are dropped. Raises ``ModelError`` for damaged files.
    """
    summary = read_tflite_summary(content)
    constants = {
        place: tensor for place, tensor in enumerate(summary.output_tensors) if tensor.data is not None
    }
    left = [index for place, index in enumerate(summary.outputs) if place not in constants]
    if not constants or not left:
        return content, {}
    changed = bytearray(content)
    model = tflite.Model.GetRootAsModel(changed, 0)
    at, _ = _vector(model.Subgraphs(0)._tab, _OUTPUTS)
    struct.pack_into(f"<{len(left) + 1}i", changed, at - 4, len(left), *left)
    _drop_signatures(changed, model)
    return bytes(changed), constants

"""What the TFLite metadata of a ``.tflite`` file say of its inputs' values.

Field numbers are those of metadata_schema.fbs (version 1.x) of TensorFlow Lite Support, whose generated code
is no package of its own.
"""

from __future__ import annotations

import math
import struct

from flatbuffers import number_types  # type: ignore[import-untyped]
from flatbuffers.table import Table  # type: ignore[import-untyped]

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.tflite_metadata import read_metadata

ENTRY = "TFLITE_METADATA"
PIXEL = 255.0  # what a NormalizationOptions is applied to
_IDENTIFIER = b"M001"
_SUBGRAPHS, _INPUTS, _UNITS, _STATS = 3, 2, 4, 5  # fields of ModelMetadata, SubGraphMetadata, TensorMetadata
_KIND, _OPTIONS, _NORMALIZATION = 0, 1, 1  # fields of ProcessUnit, and a member of its union
_MOST = 64  # inputs, units and values that are looked at


def input_statistics(content: bytes) -> dict[int, tuple[float, float]]:
    """Low and high of the real values of an input, by its position, where the metadata state them.

    ``Stats`` give them; else a normalization of pixels, (0 - mean) / std to (255 - mean) / std, over all
    channels. Damaged metadata state nothing: they are no part of the network.
    """
    try:
        data = read_metadata(content).get(ENTRY, b"")
        if data[4:8] != _IDENTIFIER:
            return {}
        root = Table(data, struct.unpack_from("<I", data)[0])
        graphs = _tables(root, _SUBGRAPHS)
        inputs = _tables(graphs[0], _INPUTS) if graphs else []
        found = {position: _range_of(tensor) for position, tensor in enumerate(inputs)}
    except (ModelError, struct.error, IndexError, TypeError, ValueError, OverflowError):
        return {}
    return {position: span for position, span in found.items() if span is not None}


def _range_of(tensor: Table) -> tuple[float, float] | None:
    stats = _table(tensor, _STATS)
    if stats is not None:
        highs, lows = _floats(stats, 0), _floats(stats, 1)
        if highs and lows and _is_range(min(lows), max(highs)):
            return min(lows), max(highs)
    for unit in _tables(tensor, _UNITS):
        place = unit.Offset(4 + 2 * _KIND)
        kind = unit.Get(number_types.Uint8Flags, unit.Pos + place) if place else 0
        options = _table(unit, _OPTIONS)
        if kind != _NORMALIZATION or options is None:
            continue
        means, deviations = _floats(options, 0), _floats(options, 1)
        if means and len(means) == len(deviations) and all(deviations):
            edges = [(v - m) / d for m, d in zip(means, deviations, strict=True) for v in (0.0, PIXEL)]
            if _is_range(min(edges), max(edges)):
                return min(edges), max(edges)
    return None


def _is_range(low: float, high: float) -> bool:
    return math.isfinite(low) and math.isfinite(high) and low < high


def _table(table: Table, field: int) -> Table | None:
    place = table.Offset(4 + 2 * field)
    return Table(table.Bytes, table.Indirect(table.Pos + place)) if place else None


def _tables(table: Table, field: int) -> list[Table]:
    place = table.Offset(4 + 2 * field)
    if not place:
        return []
    start = table.Vector(place)
    return [
        Table(table.Bytes, table.Indirect(start + 4 * i)) for i in range(min(table.VectorLen(place), _MOST))
    ]


def _floats(table: Table, field: int) -> list[float]:
    place = table.Offset(4 + 2 * field)
    if not place:
        return []
    count, start = min(table.VectorLen(place), _MOST), table.Vector(place)
    return [float(v) for v in struct.unpack_from(f"<{count}f", table.Bytes, start)]

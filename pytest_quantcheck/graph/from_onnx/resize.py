"""Resize: nearest positions as onnxruntime has them, linear ones in steps of 1/1024, rounded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pytest_quantcheck.formats.onnx import Attributes
from pytest_quantcheck.graph.from_onnx.axes import axis_from_front, place
from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import Value
from pytest_quantcheck.graph.from_onnx.windows import emit_image
from pytest_quantcheck.graph.model import Reshape, Resize
from pytest_quantcheck.numerics.arrays import Float32, IntArray
from pytest_quantcheck.numerics.limits import RESIZED_LIMIT

HALF = np.float32(0.5)


def resize(t: Translation, node: Any, given: Attributes) -> None:
    """Resize: nearest positions as onnxruntime has them, linear ones in steps of 1/1024, rounded once."""
    mode, told = given.get("mode", "nearest"), _not_resized(given)
    if told:
        t.fail(node, f"{told} is not supported")
    source = t.nhwc(t.activation(node, 0))
    rank = len(source.shape)
    if rank not in (3, 4):
        t.fail(node, f"{rank - 2} spatial axes; 1 and 2 are supported")
    image = source if rank == 4 else t.insert("RESHAPE", source, _with_row(source.shape), Reshape())
    shape, scales = _resized(t, node, given, source)
    if shape[0] != source.shape[0] or shape[-1] != source.shape[-1]:
        t.fail(node, f"from {source.shape} to {shape} (channels last); only spatial axes may change")
    full = shape if rank == 4 else _with_row(shape)
    factors = scales if rank == 4 else (1.0, 1.0, *scales[1:])
    if max(*image.shape[1:3], *full[1:3]) >= RESIZED_LIMIT:
        t.fail(
            node, f"from {source.shape} to {shape}; heights and widths below {RESIZED_LIMIT} are supported"
        )
    positions = _nearest if mode == "nearest" else _between
    rows, columns = (positions(given, image.shape[i], full[i], factors[i]) for i in (1, 2))
    target, params = t.target(node), Resize(rows, columns)
    if mode != "nearest" and target.dtype != "int8":
        t.fail(node, f"mode={mode!r} of {target.dtype} is not supported; take mode='nearest'")
    kind = "RESIZE_NEAREST_NEIGHBOR" if mode == "nearest" else "RESIZE_BILINEAR"
    if target.whole and (source.scale, source.zero_point) == (target.scale, target.zero_point):
        emit_image(t, node, kind, (image.index,), full, target, params)
        return
    if mode != "nearest":
        told = "put a Relu or Clip that follows it before it, or take mode='nearest'"
        t.fail(node, f"with mode='linear' its output must have the scale of its input: {told}")
    made = t.insert(kind, image, full, params)
    emit_image(t, node, "QUANTIZE", (made.index,), full, target, t.change(made, target))


def _with_row(shape: Sequence[int]) -> tuple[int, ...]:
    return (shape[0], 1, *shape[1:])


def _not_resized(given: Attributes) -> str | None:
    """The first attribute of a Resize whose value is not supported."""
    allowed = {
        "mode": ("nearest", "linear"),
        _COORDINATE: _COORDINATES,
        "nearest_mode": tuple(_NEAREST),
        "keep_aspect_ratio_policy": ("stretch",),
        "antialias": (0,),
        "exclude_outside": (0,),
    }
    for name, values in allowed.items():
        if given.get(name, values[0]) not in values:
            return f"{name}={given[name]!r}"
    rounding = given.get("mode", "nearest"), given.get("nearest_mode")
    if rounding == ("nearest", "round_prefer_ceil") and given.get(_COORDINATE) == "asymmetric":
        return "asymmetric coordinates with round_prefer_ceil"  # onnxruntime rounds some below a half up
    return None


def _resized(
    t: Translation, node: Any, given: Attributes, source: Value
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The shape in the graph, and the factor of each axis."""
    rank = len(source.shape)
    axes = [place(source, axis_from_front(t, node, int(a), rank)) for a in given.get("axes", range(rank))]
    shape, factors = list(source.shape), [np.float32(1)] * rank
    scales, sizes = t.constant_input(node, 2), t.constant_input(node, 3)
    asked = sizes if scales is None or not scales.size else scales
    if asked is None or asked.size != len(axes) or not np.all(asked > 0):
        t.fail(node, "its scales or sizes must be constants above 0, one for each axis")
    for axis, value in zip(axes, asked.reshape(-1), strict=True):
        before = shape[axis]
        if asked is sizes:
            shape[axis], factors[axis] = int(value), np.float32(value) / np.float32(before)
        else:
            shape[axis], factors[axis] = int(np.float32(before) * np.float32(value)), np.float32(value)
    return tuple(shape), tuple(float(f) for f in factors)


_COORDINATE = "coordinate_transformation_mode"

_COORDINATES = ("half_pixel", "asymmetric", "pytorch_half_pixel", "align_corners")

_NEAREST: dict[str, Callable[[Float32], Float32]] = {
    "round_prefer_floor": lambda x: np.ceil(x - HALF),
    "round_prefer_ceil": lambda x: np.floor(x + HALF),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _coordinates(given: Attributes, size: int, out: int, scale: float) -> Float32:
    """Where the output's cells lie in the input, in float32. Source: ONNX ``Resize``."""
    mode = given.get(_COORDINATE, "half_pixel")
    x, factor = np.arange(out).astype(np.float32), np.float32(scale)
    if factor == 1:
        return x
    if out == 1 and mode in ("pytorch_half_pixel", "align_corners"):
        return np.zeros_like(x)
    if mode == "align_corners":
        return x * np.float32(size - 1) / np.float32(out - 1)
    return x / factor if mode == "asymmetric" else (x + HALF) / factor - HALF


def _nearest(given: Attributes, size: int, out: int, scale: float) -> IntArray:
    at = _NEAREST[given.get("nearest_mode", "round_prefer_floor")](_coordinates(given, size, out, scale))
    lower = np.clip(at, 0, size - 1).astype(np.int64)
    return np.stack([lower, np.zeros_like(lower)], axis=1)


def _between(given: Attributes, size: int, out: int, scale: float) -> IntArray:
    at = np.clip(_coordinates(given, size, out, scale), 0, size - 1)
    steps = np.rint(at.astype(np.float64) * 1024).astype(np.int64)
    return np.stack([steps >> 10, steps & 1023], axis=1)

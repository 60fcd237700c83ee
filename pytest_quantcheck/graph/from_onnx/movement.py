"""Operators that move elements without computing: join, reshape, transpose, cut, pad."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_quantcheck.formats.onnx import Attributes, kind_of
from pytest_quantcheck.graph.from_onnx.axes import axis_from_front, listed, numbers, place
from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import Constant, Target, Value, nhwc_order
from pytest_quantcheck.graph.model import Concatenation, Pad, Reshape, Slice, row_major
from pytest_quantcheck.numerics.affine import quantize


def concat(t: Translation, node: Any, given: Attributes) -> None:
    """Concat: CONCATENATION, behind a change of scale for each input that needs one."""
    target = t.target(node)
    values = [t.activation(node, i) for i in range(len(node.input))]
    last = any(value.channels_last for value in values)
    values = [t.rescaled(t.nhwc(value) if last else value, target) for value in values]
    rank = len(values[0].shape)
    axis = axis_from_front(t, node, given["axis"], rank)
    axis = nhwc_order(rank).index(axis) if last else axis
    shape = list(values[0].shape)
    shape[axis] = sum(value.shape[axis] for value in values)
    if any(
        len(value.shape) != rank or any(value.shape[a] != shape[a] for a in range(rank) if a != axis)
        for value in values
    ):
        t.fail(node, f"shapes {[value.shape for value in values]} do not fit along axis {axis}")
    params = Concatenation(axis, target.act_min, target.act_max)
    t.emit(node, "CONCATENATION", [value.index for value in values], shape, target, params, last)


def reshape(t: Translation, node: Any, given: Attributes) -> None:
    """Reshape, Flatten, Squeeze and Unsqueeze: the shape alone changes."""
    value = t.model_layout(t.activation(node, 0))
    shape = _new_shape(t, node, given, value.shape)
    if math.prod(shape) != math.prod(value.shape):
        t.fail(node, f"{value.shape} cannot become {shape}")
    target = t.target(node)
    if target.whole and (value.scale, value.zero_point) == (target.scale, target.zero_point):
        t.emit(node, "RESHAPE", (value.index,), shape, target, Reshape())
    else:
        t.rescale(node, t.insert("RESHAPE", value, shape, Reshape()), target)


def _new_shape(t: Translation, node: Any, given: Attributes, shape: tuple[int, ...]) -> tuple[int, ...]:
    kind, rank = kind_of(node), len(shape)
    if kind == "Flatten":
        axis = int(given.get("axis", 1))
        axis += rank if axis < 0 else 0
        return math.prod(shape[:axis]), math.prod(shape[axis:])
    if kind == "Reshape":
        wanted = [int(n) for n in listed(t, node, given, "shape")]
        sizes = [shape[i] if n == 0 and not given.get("allowzero", 0) else n for i, n in enumerate(wanted)]
        known = math.prod(n for n in sizes if n != -1)
        return tuple(math.prod(shape) // max(known, 1) if n == -1 else n for n in sizes)
    if kind == "Squeeze":
        axes = listed(t, node, given, "axes", [a for a, n in enumerate(shape) if n == 1])
        gone = {axis_from_front(t, node, a, rank) for a in axes}
        if any(shape[a] != 1 for a in gone):
            t.fail(node, f"axes {list(axes)} of {shape} are not all 1")
        return tuple(n for a, n in enumerate(shape) if a not in gone)
    axes = listed(t, node, given, "axes")
    full = rank + len(axes)
    new = {axis_from_front(t, node, a, full) for a in axes}
    left = iter(shape)
    return tuple(1 if a in new else next(left) for a in range(full))


def transpose(t: Translation, node: Any, given: Attributes) -> None:
    """Transpose: a strided copy, or a new shape where no element moves."""
    value = t.activation(node, 0)
    order = tuple(given.get("perm", reversed(range(len(value.shape)))))
    if sorted(order) != list(range(len(value.shape))):
        t.fail(node, f"perm {order} does not fit {value.shape}")
    if value.channels_last:
        order = tuple(nhwc_order(len(order)).index(axis) for axis in order)
    arrive(t, node, replace(t.permuted(value, order), channels_last=False), t.target(node))


def arrive(t: Translation, node: Any, moved: Value, target: Target) -> None:
    """Values that were moved become the node's output, on another scale where it has one."""
    if target.whole and (moved.scale, moved.zero_point) == (target.scale, target.zero_point):
        t.emit(node, "RESHAPE", (moved.index,), moved.shape, target, Reshape())
    else:
        t.rescale(node, moved, target)


def strided_slice(t: Translation, node: Any, _: Attributes) -> None:
    """Slice: STRIDED_SLICE, with steps of either sign."""
    value = t.activation(node, 0)
    rank = len(value.shape)
    starts, ends = (numbers(t, node, i, name) for i, name in ((1, "starts"), (2, "ends")))
    axes = numbers(t, node, 3, "axes", list(range(len(starts))))
    steps = numbers(t, node, 4, "steps", [1] * len(starts))
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        t.fail(node, f"starts {starts}, ends {ends}, axes {axes} and steps {steps} do not fit")
    ranges = [range(n) for n in value.shape]
    for axis, *bounds in zip(axes, starts, ends, steps, strict=True):
        at = place(value, axis_from_front(t, node, axis, rank))
        ranges[at] = ranges[at][slice(*bounds)]  # beyond the ends ONNX and Python walk alike
    _view(t, node, value, ranges, 0)


def split(t: Translation, node: Any, given: Attributes) -> None:
    """Split: a view for each output that somebody reads."""
    value = t.activation(node, 0)
    at = place(value, axis_from_front(t, node, int(given.get("axis", 0)), len(value.shape)))
    whole, count = value.shape[at], len(node.output)
    even = -(-whole // count)
    equal = [even] * (count - 1) + [whole - even * (count - 1)]
    sizes = numbers(t, node, 1, "split", equal)
    if len(sizes) != count or sum(sizes) != whole or min(sizes) < 1:
        t.fail(node, f"{whole} values do not split into {sizes}")
    for output, size in enumerate(sizes):
        first = sum(sizes[:output])
        if t.readers.get(node.output[output]):
            ranges = [range(first, first + size) if a == at else range(n) for a, n in enumerate(value.shape)]
            _view(t, node, value, ranges, output)


def _view(t: Translation, node: Any, value: Value, ranges: Sequence[range], output: int) -> None:
    """The elements at ``ranges`` of each axis become the node's output."""
    shape = tuple(len(each) for each in ranges)
    if 0 in shape:
        t.fail(node, f"nothing is left of {value.shape}")
    steps = row_major(value.shape)
    offset = sum(each.start * step for each, step in zip(ranges, steps, strict=True))
    strides = tuple(each.step * step for each, step in zip(ranges, steps, strict=True))
    kind, target = {"Slice": "STRIDED_SLICE"}.get(kind_of(node), "SPLIT"), t.target(node, output)
    if target.whole and (value.scale, value.zero_point) == (target.scale, target.zero_point):
        view = Slice(offset, strides)
        t.emit(node, kind, (value.index,), shape, target, view, value.channels_last, output)
    else:
        t.rescale(node, t.insert(kind, value, shape, Slice(offset, strides)), target, output)


def pad(t: Translation, node: Any, given: Attributes) -> None:
    """Pad with a constant: PAD, behind a change of scale where the output has another one."""
    value = t.activation(node, 0)
    rank = len(value.shape)
    if given.get("mode", "constant") != "constant" or (len(node.input) > 3 and node.input[3]):
        t.fail(node, "only mode='constant' over all axes is supported")
    pads = listed(t, node, given, "pads")
    if len(pads) != 2 * rank or min(pads) < 0:
        t.fail(node, f"pads {pads} do not fit {value.shape}; none may be negative")
    target = t.target(node)
    real = 0.0
    if len(node.input) > 2 and node.input[2]:
        real = _fill(t, node)
    pairs = list(zip(pads[:rank], pads[rank:], strict=True))
    if value.channels_last:
        pairs = [pairs[axis] for axis in nhwc_order(rank)]
    moved = t.rescaled(value, target)
    shape = [n + before + after for n, (before, after) in zip(value.shape, pairs, strict=True)]
    if not target.whole:
        t.fail(node, "a clamp behind it is not supported")
    fill = int(
        quantize(np.float32(real), target.scale, target.zero_point, target.dtype, rounding="half_even")
    )
    params = Pad(tuple(pairs), fill)
    t.emit(node, "PAD", (moved.index,), shape, target, params, value.channels_last)


def _fill(t: Translation, node: Any) -> float:
    """The value of Pad's cells: a float constant, or one between QuantizeLinear and DequantizeLinear."""
    found = t.real.get(node.input[2])
    if isinstance(found, Constant):
        steps = int(found.data.reshape(-1)[0]) - int(found.zero_point[0])
        return float(np.float32(steps) * found.scale[0])
    values = t.constant_input(node, 2)
    return float(values.reshape(-1)[0]) if values is not None else 0.0

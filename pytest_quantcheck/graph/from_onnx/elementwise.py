"""Operators of two inputs, element by element: Add, Sub, Mul, Max, Min."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pytest_quantcheck.formats.onnx import Attributes, kind_of
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.from_onnx.factors import after_zero_point, product_factor
from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import Constant, Target, Value, nhwc_order
from pytest_quantcheck.graph.model import Add, Extremum, Mul, Operator, Requantize, Rescale, Reshape
from pytest_quantcheck.numerics.affine import integer_range
from pytest_quantcheck.numerics.fixed_point import quantize_multiplier
from pytest_quantcheck.numerics.limits import ADD_LEFT_SHIFT


def add(t: Translation, node: Any, _: Attributes) -> None:
    """ADD and SUB: inputs on a common scale with 20 more bits, their sum with a float32 factor."""
    (a, b), shape, last = _operands(t, node)
    target = t.target(node)
    twice, left = 2 * float(max(a.scale, b.scale)), ADD_LEFT_SHIFT[target.dtype]
    first, second = (Requantize(*quantize_multiplier(np.atleast_1d(float(x.scale) / twice))) for x in (a, b))
    factor = product_factor(t, node, np.float32(twice), np.float32(2.0**-left), target.scale)
    params = Add(
        left,
        a.zero_point,
        b.zero_point,
        target.zero_point,
        first,
        second,
        after_zero_point(factor, target) if kind_of(node) == "Add" else factor,
        target.act_min,
        target.act_max,
    )
    t.emit(node, kind_of(node).upper(), (a.index, b.index), shape, target, params, last)


def mul(t: Translation, node: Any, _: Attributes) -> None:
    """MUL: the product with one float32 factor."""
    (a, b), shape, last = _operands(t, node)
    target = t.target(node)
    factor = after_zero_point(product_factor(t, node, a.scale, b.scale, target.scale), target)
    params = Mul(a.zero_point, b.zero_point, target.zero_point, factor, target.act_min, target.act_max)
    t.emit(node, "MUL", (a.index, b.index), shape, target, params, last)


def extremum(t: Translation, node: Any, _: Attributes) -> None:
    """MAXIMUM and MINIMUM: both inputs rounded to the output's scale first, which changes no result."""
    if len(node.input) != 2:
        t.fail(node, f"it has {len(node.input)} inputs; two are supported: write it as several")
    kind, target = {"Max": "MAXIMUM", "Min": "MINIMUM"}[kind_of(node)], t.target(node)
    (a, b), shape, last = _operands(t, node)
    a, b = (_on_scale(t, x, target) for x in (a, b))
    inputs = (a.index, b.index)
    if target.whole:
        t.emit(node, kind, inputs, shape, target, Extremum(), last)
        return
    made = Value(-1, target.name, shape, target.scale, target.zero_point, last)
    made = t.between(kind, inputs, made, Extremum())
    zero = target.zero_point
    clamp = Rescale(zero, zero, None, target.act_min, target.act_max)
    t.emit(node, "QUANTIZE", (made.index,), shape, target, clamp, last)


def _on_scale(t: Translation, x: Value, target: Target) -> Value:
    """A value, or a constant, with the scale and zero point of ``target``."""
    data = t.tensors[x.index].data
    if data is None:
        return t.rescaled(x, target)
    low, high = integer_range(target.dtype)
    whole = replace(target, act_min=low, act_max=high)
    change = t.change(x, whole)
    found = execute.apply(Operator(0, "QUANTIZE", (0,), (0,), change), np.dtype(target.dtype), data)
    index = t.add(f"{x.name}_rescaled", data.shape, target.dtype, target.scale, target.zero_point, found)
    return replace(x, index=index, scale=target.scale, zero_point=target.zero_point)


def _operands(t: Translation, node: Any) -> tuple[list[Value], tuple[int, ...], bool]:
    """Both inputs in one layout, the shape of the result in it, and whether its channels are last."""
    given = [t.real.get(name) for name in node.input]
    values = [x if isinstance(x, Constant) else t.activation(node, i) for i, x in enumerate(given)]
    if all(isinstance(x, Constant) for x in values):
        t.fail(node, "both of its inputs are constants")
    last = any(isinstance(x, Value) and x.channels_last for x in values)
    rank = max(len(x.shape) if isinstance(x, Value) else x.data.ndim for x in values)
    if last and any(isinstance(x, Value) and len(x.shape) not in (1, rank) for x in values):
        values = [t.model_layout(x) if isinstance(x, Value) else x for x in values]
        last = False
    found = [_operand(t, node, i, x, rank if last else 0) for i, x in enumerate(values)]
    try:
        shape = np.broadcast_shapes(*(x.shape for x in found))
    except ValueError:
        t.fail(node, f"shapes {[x.shape for x in found]} do not broadcast")
    return found, shape, last


def _operand(t: Translation, node: Any, position: int, x: Value | Constant, last: int) -> Value:
    """An input; ``last`` is the rank at which channels lie behind, 0 in the model's layout."""
    if isinstance(x, Value):
        if last and len(x.shape) == 1:  # broadcasts along W in the model
            shape = (*(1,) * (last - 2), x.shape[0], 1)
            return t.insert("RESHAPE", x, shape, Reshape())
        return t.nhwc(x) if last else x
    dtype = t.arithmetic.dtype
    if len(x.scale) != 1 or x.data.dtype.name != dtype:
        given = f"{x.data.dtype.name} with {len(x.scale)} scales"
        t.fail(node, f"its constant is {given}; {dtype} with one is supported")
    data = x.data
    if last:
        data = data.reshape((1,) * (last - data.ndim) + data.shape).transpose(nhwc_order(last))
    data = np.ascontiguousarray(data)
    zero_point = int(x.zero_point[0])
    index = t.add(node.input[position], data.shape, dtype, x.scale, zero_point, data)
    return Value(index, node.input[position], data.shape, x.scale[0], zero_point, bool(last))

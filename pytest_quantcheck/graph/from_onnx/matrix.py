"""Gemm and MatMul."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_quantcheck.formats.onnx import Attributes
from pytest_quantcheck.graph.from_onnx.factors import add_bias, check_symmetric, product_factor
from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import Constant, Value
from pytest_quantcheck.graph.model import BatchMatMul, FullyConnected, Rescale


def gemm(t: Translation, node: Any, given: Attributes) -> None:
    """Gemm without transA, alpha and beta: FULLY_CONNECTED."""
    if given.get("transA", 0) or given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0:
        t.fail(node, "transA, alpha and beta other than 0, 1 and 1 are not supported; export without them")
    _dense(t, node, by_rows=bool(given.get("transB", 0)))


def matmul(t: Translation, node: Any, _: Attributes) -> None:
    """MatMul with a constant matrix behind it: FULLY_CONNECTED; else BATCH_MATMUL."""
    first, second = (t.real.get(name) for name in node.input)
    if isinstance(second, Constant) and second.data.ndim == 2 and not isinstance(first, Constant):
        _dense(t, node, by_rows=False)
    else:
        _product(t, node)


def _product(t: Translation, node: Any) -> None:
    """Of two activations, or one and a constant in front or of more than two axes."""
    if t.arithmetic.dtype != "int8":
        t.fail(node, f"of two activations of {t.arithmetic.dtype} is not supported; int8 is")
    a, b = (_matrix(t, node, position) for position in (0, 1))
    if a.shape[-1] != b.shape[-2]:
        t.fail(node, f"{a.shape} and {b.shape} are no product of matrices")
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        t.fail(node, f"the axes before the matrices {a.shape} and {b.shape} do not broadcast")
    shape, target = (*batch, a.shape[-2], b.shape[-1]), t.target(node)
    factor = product_factor(t, node, a.scale, b.scale, target.scale)
    params = BatchMatMul(a.zero_point, b.zero_point, target.zero_point, factor, False, False)
    if target.whole:
        t.emit(node, "BATCH_MATMUL", (a.index, b.index), shape, target, params)
        return
    made = Value(-1, target.name, shape, target.scale, target.zero_point, False)
    made = t.between("BATCH_MATMUL", (a.index, b.index), made, params)
    zero = target.zero_point
    clamp = Rescale(zero, zero, None, target.act_min, target.act_max)
    t.emit(node, "QUANTIZE", (made.index,), shape, target, clamp)


def _matrix(t: Translation, node: Any, position: int) -> Value:
    """An input in the model's layout."""
    given = t.real.get(node.input[position])
    if not isinstance(given, Constant):
        value = t.model_layout(t.activation(node, position))
    else:
        if len(given.scale) != 1 or given.data.dtype.name != t.arithmetic.dtype:
            told = f"{given.data.dtype.name} with {len(given.scale)} scales"
            t.fail(node, f"its constant is {told}; {t.arithmetic.dtype} with one is supported")
        name, zero = node.input[position], int(given.zero_point[0])
        index = t.add(name, given.data.shape, t.arithmetic.dtype, given.scale, zero, given.data)
        value = Value(index, name, given.data.shape, given.scale[0], zero, False)
    if len(value.shape) < 2:
        t.fail(node, f"input {position} has the shape {value.shape}; two axes or more are supported")
    return value


def _dense(t: Translation, node: Any, *, by_rows: bool) -> None:
    source, weights = t.model_layout(t.activation(node, 0)), t.weights(node, 1)
    dtype = t.arithmetic.dtype
    if weights.data.ndim != 2 or weights.data.dtype.name != dtype:
        given = f"{weights.data.shape} ({weights.data.dtype.name})"
        t.fail(node, f"weights {given}; an {dtype} matrix is supported")
    data = np.ascontiguousarray(weights.data if by_rows else weights.data.T)
    units, depth = data.shape
    if source.shape[-1] != depth:
        t.fail(node, f"weights {weights.data.shape} do not fit an input of {source.shape}")
    if len(weights.scale) > 1:
        check_symmetric(t, node, weights, units, 0 if by_rows else 1)
    target = t.target(node)
    inputs = [
        source.index,
        t.add(node.input[1], data.shape, dtype, weights.scale, weights.zero_point, data),
        *add_bias(t, node, 2, source.scale, weights, units),
    ]
    params = FullyConnected(
        source.zero_point,
        int(weights.zero_point[0]),
        target.zero_point,
        product_factor(t, node, source.scale, weights.scale, target.scale),
        target.act_min,
        target.act_max,
    )
    t.emit(node, "FULLY_CONNECTED", inputs, (*source.shape[:-1], units), target, params)

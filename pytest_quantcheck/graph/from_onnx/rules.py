"""From an ONNX operator between DequantizeLinear and QuantizeLinear to the integers that decide its result.

Here: the table of all operators, and those that compute along axes or value by value. Those over images are
in ``onnx_spatial.py``, those that only move elements in ``onnx_moves.py``, the factors of sums in
``onnx_factors.py``. Functions of one value become tables, computed in float64 and rounded once to
float32 before QuantizeLinear. Averages are sums with a factor. Softmax is TFLM's, at most 1/256 away.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.formats.onnx import Attributes, attributes, kind_of
from pytest_quantcheck.graph.from_onnx import moves as onnx_moves
from pytest_quantcheck.graph.from_onnx import spatial as onnx_spatial
from pytest_quantcheck.graph.from_onnx.factors import (
    add_bias,
    after_zero_point,
    check_symmetric,
    mean_factor,
    product_factor,
)
from pytest_quantcheck.graph.from_onnx.read import (
    Constant,
    Translation,
    Value,
    nhwc_order,
    quantized,
    real_values,
    requantized,
)
from pytest_quantcheck.graph.model import Add, FullyConnected, Mean, Mul, Requantize, Reshape, Softmax, Table
from pytest_quantcheck.numerics.fixed_point import quantize_multiplier

ADD_LEFT_SHIFT = 20
SOFTMAX_SCALE, SOFTMAX_ZERO_POINT, SOFTMAX_INTEGER_BITS = np.float32(1 / 256), -128, 5


def lower(t: Translation, node: Any) -> None:
    """Translate one operator. Raises ``UnsupportedOperatorError`` that names it and the reason."""
    rule = _RULES.get(kind_of(node))
    if rule is None:
        t.fail(node, f"this operator is not supported; supported: {', '.join(SUPPORTED)}")
    rule(t, node, attributes(node))


# --- matrix products -------------------------------------------------------------------------


def _gemm(t: Translation, node: Any, given: Attributes) -> None:
    if given.get("transA", 0) or given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0:
        t.fail(node, "transA, alpha and beta other than 0, 1 and 1 are not supported; export without them")
    _dense(t, node, by_rows=bool(given.get("transB", 0)))


def _matmul(t: Translation, node: Any, _: Attributes) -> None:
    _dense(t, node, by_rows=False)


def _dense(t: Translation, node: Any, *, by_rows: bool) -> None:
    source, weights = t.model_layout(t.activation(node, 0)), t.weights(node, 1)
    if weights.data.ndim != 2 or weights.data.dtype != np.int8:
        t.fail(node, f"weights {weights.data.shape} ({weights.data.dtype.name}); an int8 matrix is supported")
    data = np.ascontiguousarray(weights.data if by_rows else weights.data.T)
    units, depth = data.shape
    if source.shape[-1] != depth:
        t.fail(node, f"weights {weights.data.shape} do not fit an input of {source.shape}")
    if len(weights.scale) > 1:
        check_symmetric(t, node, weights, units, 0 if by_rows else 1)
    target = t.target(node)
    inputs = [
        source.index,
        t.add(node.input[1], data.shape, "int8", weights.scale, weights.zero_point, data),
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


# --- two inputs ------------------------------------------------------------------------------


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
    if len(x.scale) != 1 or x.data.dtype != np.int8:
        t.fail(
            node,
            f"its constant is {x.data.dtype.name} with {len(x.scale)} scales; int8 with one is supported",
        )
    data = x.data
    if last:
        data = data.reshape((1,) * (last - data.ndim) + data.shape).transpose(nhwc_order(last))
    data = np.ascontiguousarray(data)
    zero_point = int(x.zero_point[0])
    index = t.add(node.input[position], data.shape, "int8", x.scale, zero_point, data)
    return Value(index, node.input[position], data.shape, x.scale[0], zero_point, bool(last))


def _add(t: Translation, node: Any, _: Attributes) -> None:
    """ADD and SUB: inputs on a common scale with 20 more bits, their sum with a float32 factor."""
    (a, b), shape, last = _operands(t, node)
    target = t.target(node)
    twice = 2 * float(max(a.scale, b.scale))
    first, second = (Requantize(*quantize_multiplier(np.atleast_1d(float(x.scale) / twice))) for x in (a, b))
    factor = product_factor(t, node, np.float32(twice), np.float32(2.0**-ADD_LEFT_SHIFT), target.scale)
    params = Add(
        ADD_LEFT_SHIFT,
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


def _mul(t: Translation, node: Any, _: Attributes) -> None:
    (a, b), shape, last = _operands(t, node)
    target = t.target(node)
    factor = after_zero_point(product_factor(t, node, a.scale, b.scale, target.scale), target)
    params = Mul(a.zero_point, b.zero_point, target.zero_point, factor, target.act_min, target.act_max)
    t.emit(node, "MUL", (a.index, b.index), shape, target, params, last)


# --- means -----------------------------------------------------------------------------------


def _global_average_pool(t: Translation, node: Any, _: Attributes) -> None:
    source = t.nhwc(t.activation(node, 0))
    if not source.channels_last:
        t.fail(node, f"{len(source.shape) - 2} spatial axes; 1 and 2 are supported")
    _mean(t, node, source, tuple(range(1, len(source.shape) - 1)), True)


def _reduce_mean(t: Translation, node: Any, given: Attributes) -> None:
    source = t.activation(node, 0)
    rank = len(source.shape)
    axes = onnx_moves.listed(t, node, given, "axes", [])
    if not axes and given.get("noop_with_empty_axes", 0):
        t.rescale(node, source, t.target(node))
        return
    chosen = sorted({onnx_moves.axis_from_front(t, node, a, rank) for a in axes or range(rank)})
    keep = bool(given.get("keepdims", 1))
    if source.channels_last and (keep or chosen == list(range(2, rank))):
        chosen = sorted(nhwc_order(rank).index(a) for a in chosen)
    else:
        source = t.model_layout(source)
    _mean(t, node, source, tuple(chosen), keep)


def _mean(t: Translation, node: Any, source: Value, axes: tuple[int, ...], keep: bool) -> None:
    target = t.target(node)
    if not target.whole:
        t.fail(node, "a clamp behind it is not supported")
    count = math.prod(source.shape[a] for a in axes)
    shape = [1 if a in axes else n for a, n in enumerate(source.shape) if keep or a not in axes]
    factor = mean_factor(t, node, source, target, count)
    params = Mean(axes, source.zero_point, target.zero_point, factor)
    t.emit(node, "MEAN", (source.index,), shape, target, params, source.channels_last and keep)


# --- functions -------------------------------------------------------------------------------


def _softmax(t: Translation, node: Any, given: Attributes) -> None:
    """Over any axis: it goes behind the others and back, by name only where no element moves."""
    value = t.activation(node, 0)
    rank = len(value.shape)
    axis = onnx_moves.axis_from_front(t, node, given.get("axis", -1), rank)
    if value.channels_last and axis == 1:
        axis = rank - 1
    else:
        value = t.model_layout(value)
    target = t.target(node)
    real = float(value.scale) * (1 << (31 - SOFTMAX_INTEGER_BITS))
    if not real > 1:
        t.fail(node, f"its input scale {value.scale:g} is too small; more than 2**-26 is allowed")
    multiplier, shift = quantize_multiplier(min(real, 2.0**31 - 1))
    radius = ((1 << SOFTMAX_INTEGER_BITS) - 1) * 2 ** (31 - SOFTMAX_INTEGER_BITS) / (1 << int(shift))
    params = Softmax(int(multiplier), int(shift), -math.floor(radius))
    order = [*(a for a in range(rank) if a != axis), axis]
    moved = value if axis == rank - 1 else t.permuted(value, order)
    same = target.whole and (target.scale, target.zero_point) == (SOFTMAX_SCALE, SOFTMAX_ZERO_POINT)
    if same and moved is value:
        t.emit(node, "SOFTMAX", (value.index,), value.shape, target, params, value.channels_last)
        return
    made = replace(moved, scale=SOFTMAX_SCALE, zero_point=SOFTMAX_ZERO_POINT)
    made = t.between("SOFTMAX", (moved.index,), made, params)
    if moved is value:
        t.rescale(node, made, target)
    else:
        onnx_moves.arrive(t, node, t.permuted(made, [order.index(a) for a in range(rank)]), target)


def _function(t: Translation, node: Any, given: Attributes) -> None:
    """A function of one value: all 256 results."""
    value = t.activation(node, 0)
    kind = kind_of(node)
    training = t.constant_input(node, 2) if kind == "Dropout" else None
    if training is not None and training.any():
        t.fail(node, "training_mode=True is not supported; export the model for inference")
    low, high = t.clip_bounds(node) if kind == "Clip" else (-np.inf, np.inf)
    x = real_values(value).astype(np.float64)
    with np.errstate(over="ignore"):
        results = np.clip(_FUNCTIONS[kind](x, given), low, high).astype(np.float32)
    target = t.target(node)
    integers = requantized(value, target) if kind in _COPIES else quantized(results, target)
    table = Table(np.clip(integers, target.act_min, target.act_max))
    name = _NAMES.get(kind, kind.upper())
    t.emit(node, name, (value.index,), value.shape, target, table, value.channels_last)


Function = Callable[[npt.NDArray[np.float64], Attributes], npt.NDArray[np.float64]]
_COPIES = ("Identity", "Dropout")
_NAMES = {"Sigmoid": "LOGISTIC", "LeakyRelu": "LEAKY_RELU", "HardSwish": "HARD_SWISH", "Identity": "QUANTIZE"}
_FUNCTIONS: dict[str, Function] = {
    "Identity": lambda x, _: x,
    "Dropout": lambda x, _: x,
    "Relu": lambda x, _: np.maximum(x, 0),
    "Clip": lambda x, _: x,
    "Sigmoid": lambda x, _: 1 / (1 + np.exp(-x)),
    "Tanh": lambda x, _: np.tanh(x),
    "LeakyRelu": lambda x, a: np.where(x < 0, x * np.float64(np.float32(a.get("alpha", 0.01))), x),
    "HardSwish": lambda x, _: x * np.clip(x / 6 + 0.5, 0, 1),
    "HardSigmoid": lambda x, a: np.clip(
        x * np.float64(np.float32(a.get("alpha", 0.2))) + np.float64(np.float32(a.get("beta", 0.5))), 0, 1
    ),
    "Elu": lambda x, a: np.where(x < 0, a.get("alpha", 1.0) * np.expm1(np.minimum(x, 0)), x),
    "Softplus": lambda x, _: np.logaddexp(x, 0),
    "Abs": lambda x, _: np.abs(x),
    "Neg": lambda x, _: -x,
    "Exp": lambda x, _: np.exp(x),
}


_RULES: dict[str, Callable[[Translation, Any, Attributes], None]] = {
    "Conv": onnx_spatial.conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "ConvTranspose": onnx_spatial.conv_transpose,
    "Add": _add,
    "Sub": _add,
    "Mul": _mul,
    "MaxPool": onnx_spatial.max_pool,
    "AveragePool": onnx_spatial.average_pool,
    "GlobalAveragePool": _global_average_pool,
    "ReduceMean": _reduce_mean,
    "Concat": onnx_moves.concat,
    "Reshape": onnx_moves.reshape,
    "Flatten": onnx_moves.reshape,
    "Squeeze": onnx_moves.reshape,
    "Unsqueeze": onnx_moves.reshape,
    "Transpose": onnx_moves.transpose,
    "Slice": onnx_moves.strided_slice,
    "Split": onnx_moves.split,
    "Resize": onnx_spatial.resize,
    "Pad": onnx_moves.pad,
    "Softmax": _softmax,
    **dict.fromkeys(_FUNCTIONS, _function),
}

SUPPORTED = (*_RULES, "QuantizeLinear", "DequantizeLinear")

"""From an ONNX operator between DequantizeLinear and QuantizeLinear to the integers that decide its result.

The factor of a sum is the product of scales in float32, results round half to even: onnxruntime's rule
(``numerics.float_scale``). Functions of one value become tables, computed in float64 and rounded once to
float32 before QuantizeLinear. Averages are sums with a factor. Softmax is TFLM's, at most one step away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.graph.model import (
    Add,
    Concatenation,
    Convolution,
    FullyConnected,
    Mean,
    Mul,
    Pad,
    Pool,
    Requantize,
    Reshape,
    Softmax,
    Table,
    Window,
)
from pytest_quantcheck.graph.onnx import (
    NHWC,
    Constant,
    Target,
    Translation,
    Value,
    check_size,
    quantized,
    real_values,
    requantized,
)
from pytest_quantcheck.graph.onnx_proto import attributes, kind_of
from pytest_quantcheck.numerics.affine import quantize, quantize_bias
from pytest_quantcheck.numerics.fixed_point import quantize_multiplier
from pytest_quantcheck.numerics.float_scale import float_multiplier

ADD_LEFT_SHIFT = 20
SOFTMAX_SCALE, SOFTMAX_ZERO_POINT, SOFTMAX_INTEGER_BITS = np.float32(1 / 256), -128, 5
MAX_WINDOW = 65_535  # kernel, stride, dilation and padding are 16 bits wide on a board
BIAS_TOLERANCE = 1e-5  # relative; the quantizer multiplies the scales in another precision

Attributes = dict[str, Any]


def lower(t: Translation, node: Any) -> None:
    """Translate one operator. Raises ``UnsupportedOperatorError`` that names it and the reason."""
    rule = _RULES.get(kind_of(node))
    if rule is None:
        t.fail(node, f"this operator is not supported; supported: {', '.join(SUPPORTED)}")
    rule(t, node, attributes(node))


def _rule(factor: npt.ArrayLike) -> Requantize:
    """A float32 factor exactly, to be applied in float32: mantissa and exponent."""
    multiplier, shift = quantize_multiplier(np.atleast_1d(np.asarray(factor, np.float64)))
    return Requantize(multiplier, shift, "float")


def _after_zero_point(rule: Requantize, target: Target) -> Requantize:
    """The rule of kernels that add the zero point before they round: QLinearAdd, Mul, AveragePool."""
    return replace(rule, rounding="float_odd") if target.zero_point % 2 else rule


def _factor(t: Translation, node: Any, first: Any, second: Any, output: Any) -> Requantize:
    try:
        return _rule(float_multiplier(first, second, output))
    except ValueError as error:
        t.fail(node, f"its scales do not fit float32: {error}")


# --- sums of products ------------------------------------------------------------------------


def _conv(t: Translation, node: Any, given: Attributes) -> None:
    source = t.nhwc(t.activation(node, 0))
    weights = t.weights(node, 1)
    if weights.data.ndim != 4 or len(source.shape) != 4:
        t.fail(node, f"{weights.data.ndim - 2} spatial axes; 2 are supported")
    outputs, depth, height, width = weights.data.shape
    if tuple(given.get("kernel_shape", (height, width))) != (height, width):
        t.fail(node, f"kernel_shape {given['kernel_shape']} is not that of its weights {weights.data.shape}")
    groups, channels = int(given.get("group", 1)), source.shape[3]
    if groups * depth != channels or outputs % groups:
        t.fail(node, f"weights {weights.data.shape} in {groups} groups do not fit {channels} input channels")
    target = t.target(node)
    window, shape = _window(t, node, given, source.shape, (height, width))
    _symmetric(t, node, weights, outputs, 0)
    depthwise = depth == 1 and groups > 1
    layout = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    data = np.ascontiguousarray(weights.data.transpose(layout))
    axis = 3 if depthwise else 0
    inputs = [
        source.index,
        t.add(node.input[1], data.shape, "int8", weights.scale, weights.zero_point, data, axis),
        *_bias(t, node, 2, source.scale, weights, outputs),
    ]
    params = Convolution(
        window,
        source.zero_point,
        target.zero_point,
        _factor(t, node, source.scale, weights.scale, target.scale),
        target.act_min,
        target.act_max,
        depth_multiplier=outputs // groups if depthwise else 0,
    )
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    t.emit(node, kind, inputs, (source.shape[0], *shape, outputs), target, params, channels_last=True)


def _symmetric(t: Translation, node: Any, weights: Constant, channels: int, axis: int) -> None:
    if weights.data.dtype != np.int8:
        t.fail(node, f"weights are {weights.data.dtype.name}; int8 and uint8 are supported")
    if weights.zero_point.any():
        t.fail(node, "its weights have a zero point; symmetric int8 weights are supported")
    if len(weights.scale) not in (1, channels):
        t.fail(node, f"{len(weights.scale)} weight scales for {channels} output channels")
    if len(weights.scale) > 1 and weights.axis % weights.data.ndim != axis:
        t.fail(node, f"its weights are quantized along axis {weights.axis}; it must be {axis}")


def _bias(
    t: Translation, node: Any, position: int, input_scale: np.float32, weights: Constant, channels: int
) -> list[int]:
    """The index of the int32 bias, none where there is none. One in float is rounded as onnxruntime does."""
    if len(node.input) <= position or not node.input[position]:
        return []
    name = node.input[position]
    plain = name in t.constants and t.constants[name].dtype == np.float32
    shape = t.constants[name].shape if plain else t.weights(node, position).data.shape
    if shape[-1:] not in ((), (1,), (channels,)) or math.prod(shape[:-1]) != 1:
        t.fail(node, f"its bias has the shape {shape}; one value, or {channels} in one row, are supported")
    if plain:
        real = np.broadcast_to(t.constants[name].reshape(-1), channels)
        integers, scales = quantize_bias(real, input_scale, weights.scale, rounding="half_even")
        return [t.add(name, (channels,), "int32", scales, 0, integers.astype(np.int32))]
    bias = t.weights(node, position)
    expected = np.float64(input_scale) * weights.scale.astype(np.float64)
    data = bias.data.reshape(-1)
    if data.dtype != np.int32 or bias.zero_point.any():
        t.fail(node, f"its bias is {data.dtype.name}; int32 with zero point 0 is supported")
    if not np.allclose(bias.scale, expected, rtol=BIAS_TOLERANCE, atol=0):
        t.fail(node, "its bias scale is not the product of input and weight scale")
    data = np.ascontiguousarray(np.broadcast_to(data, channels))
    return [t.add(name, (channels,), "int32", bias.scale, 0, data)]


def _window(
    t: Translation, node: Any, given: Attributes, shape: Sequence[int], kernel: tuple[int, int]
) -> tuple[Window, tuple[int, int]]:
    """Window and output height and width over an NHWC input."""
    strides = tuple(given.get("strides", (1, 1)))
    dilations = tuple(given.get("dilations", (1, 1)))
    pads = list(given.get("pads", (0, 0, 0, 0)))
    auto = given.get("auto_pad", "NOTSET")
    if given.get("ceil_mode", 0):
        t.fail(node, "ceil_mode=1 is not supported; export with ceil_mode=0")
    lengths = [len(each) for each in (kernel, strides, dilations, pads)]
    if lengths != [2, 2, 2, 4] or min((*kernel, *strides, *dilations)) < 1:
        t.fail(
            node,
            f"kernel {kernel}, strides {strides}, dilations {dilations}, pads {pads}; two spatial axes are "
            "supported",
        )
    if max((*kernel, *strides, *dilations, *pads)) > MAX_WINDOW:
        t.fail(node, f"kernel {kernel}, pads {pads}: no size above {MAX_WINDOW} is supported")
    before, out = [], []
    for axis in (0, 1):
        size, reach = shape[axis + 1], (kernel[axis] - 1) * dilations[axis] + 1
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            total = max((-(-size // strides[axis]) - 1) * strides[axis] + reach - size, 0)
            first = total // 2 if auto == "SAME_UPPER" else total - total // 2
        elif auto in ("NOTSET", "VALID"):
            first = pads[axis] if auto == "NOTSET" else 0
            total = first + (pads[axis + 2] if auto == "NOTSET" else 0)
        else:
            t.fail(node, f"auto_pad {auto!r} is not known")
        length = (size + total - reach) // strides[axis] + 1
        if first < 0 or total < first or size + total < reach:
            t.fail(node, f"kernel {kernel} and pads {pads} do not fit an input of {tuple(shape)}")
        before.append(first)
        out.append(length)
    window = Window(*kernel, *strides, *dilations, *before)
    return window, (out[0], out[1])


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
        _symmetric(t, node, weights, units, 0 if by_rows else 1)
    target = t.target(node)
    inputs = [
        source.index,
        t.add(node.input[1], data.shape, "int8", weights.scale, weights.zero_point, data),
        *_bias(t, node, 2, source.scale, weights, units),
    ]
    params = FullyConnected(
        source.zero_point,
        int(weights.zero_point[0]),
        target.zero_point,
        _factor(t, node, source.scale, weights.scale, target.scale),
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
    if last and any(isinstance(x, Value) and len(x.shape) not in (1, 4) for x in values):
        values = [t.model_layout(x) if isinstance(x, Value) else x for x in values]
        last = False
    found = [_operand(t, node, i, x, last) for i, x in enumerate(values)]
    try:
        shape = np.broadcast_shapes(*(x.shape for x in found))
    except ValueError:
        t.fail(node, f"shapes {[x.shape for x in found]} do not broadcast")
    return found, shape, last


def _operand(t: Translation, node: Any, position: int, x: Value | Constant, last: bool) -> Value:
    if isinstance(x, Value):
        if last and len(x.shape) == 1:  # broadcasts along W in the model
            shape = (1, 1, x.shape[0], 1)
            return t.insert("RESHAPE", x, shape, Reshape())
        return t.nhwc(x) if last else x
    if len(x.scale) != 1 or x.data.dtype != np.int8:
        t.fail(
            node,
            f"its constant is {x.data.dtype.name} with {len(x.scale)} scales; int8 with one is supported",
        )
    data = x.data
    if last:
        data = data.reshape((1,) * (4 - data.ndim) + data.shape).transpose(NHWC)
    data = np.ascontiguousarray(data)
    zero_point = int(x.zero_point[0])
    index = t.add(node.input[position], data.shape, "int8", x.scale, zero_point, data)
    return Value(index, node.input[position], data.shape, x.scale[0], zero_point, last)


def _add(t: Translation, node: Any, _: Attributes) -> None:
    """ADD and SUB: inputs on a common scale with 20 more bits, their sum with a float32 factor."""
    (a, b), shape, last = _operands(t, node)
    target = t.target(node)
    twice = 2 * float(max(a.scale, b.scale))
    first, second = (Requantize(*quantize_multiplier(np.atleast_1d(float(x.scale) / twice))) for x in (a, b))
    factor = _factor(t, node, np.float32(twice), np.float32(2.0**-ADD_LEFT_SHIFT), target.scale)
    params = Add(
        ADD_LEFT_SHIFT,
        a.zero_point,
        b.zero_point,
        target.zero_point,
        first,
        second,
        _after_zero_point(factor, target) if kind_of(node) == "Add" else factor,
        target.act_min,
        target.act_max,
    )
    t.emit(node, kind_of(node).upper(), (a.index, b.index), shape, target, params, last)


def _mul(t: Translation, node: Any, _: Attributes) -> None:
    (a, b), shape, last = _operands(t, node)
    target = t.target(node)
    factor = _after_zero_point(_factor(t, node, a.scale, b.scale, target.scale), target)
    params = Mul(a.zero_point, b.zero_point, target.zero_point, factor, target.act_min, target.act_max)
    t.emit(node, "MUL", (a.index, b.index), shape, target, params, last)


# --- pools and means -------------------------------------------------------------------------


def _max_pool(t: Translation, node: Any, given: Attributes) -> None:
    source = t.nhwc(t.activation(node, 0))
    target = t.target(node)
    if tuple(given.get("dilations", (1, 1))) != (1, 1) or len(source.shape) != 4:
        t.fail(node, "dilations other than 1, or other than two spatial axes, are not supported")
    window, shape = _window(t, node, given, source.shape, tuple(given["kernel_shape"]))
    full = (source.shape[0], *shape, source.shape[3])
    if target.whole and (source.scale, source.zero_point) == (target.scale, target.zero_point):
        t.emit(node, "MAX_POOL_2D", (source.index,), full, target, Pool(window, -128, 127), True)
        return
    pooled = t.between("MAX_POOL_2D", (source.index,), replace(source, shape=full), Pool(window, -128, 127))
    t.rescale(node, pooled, target)


def _average_pool(t: Translation, node: Any, given: Attributes) -> None:
    """A depthwise convolution with ones: cells of the padding count where the model says so."""
    source = t.nhwc(t.activation(node, 0))
    target = t.target(node)
    if len(source.shape) != 4:
        t.fail(node, "other than two spatial axes are not supported")
    kernel = tuple(given["kernel_shape"])
    window, shape = _window(t, node, given, source.shape, kernel)
    inside = window.pad_top == window.pad_left == 0 and all(
        (shape[i] - 1) * stride + (kernel[i] - 1) * dilation < source.shape[i + 1]
        for i, (stride, dilation) in enumerate(
            ((window.stride_h, window.dilation_h), (window.stride_w, window.dilation_w))
        )
    )
    if not inside and not given.get("count_include_pad", 0):
        t.fail(node, "windows over the border with count_include_pad=0 are not supported; pad before it")
    channels = source.shape[3]
    name, sizes = f"{node.output[0]}_ones", (1, *kernel, channels)
    check_size(name, sizes)  # before there is such an array
    weights = t.add(name, sizes, "int8", np.float32(1), 0, np.ones(sizes, np.int8), 3)
    params = Convolution(
        window,
        source.zero_point,
        target.zero_point,
        _after_zero_point(_mean_factor(t, node, source, target, math.prod(kernel)), target),
        target.act_min,
        target.act_max,
        depth_multiplier=1,
    )
    full = (source.shape[0], *shape, channels)
    t.emit(node, "DEPTHWISE_CONV_2D", (source.index, weights), full, target, params, True)


def _mean_factor(t: Translation, node: Any, source: Value, target: Target, count: int) -> Requantize:
    """``input scale / (output scale * count)`` in float32.

    Source: onnxruntime ``qlinear_global_average_pool.cc``.
    """
    with np.errstate(all="ignore"):
        factor = source.scale / np.float32(target.scale * np.float32(count))
    if not np.isfinite(factor) or factor <= 0:
        t.fail(node, f"its scales {source.scale} and {target.scale} do not fit float32")
    return _rule(factor)


def _global_average_pool(t: Translation, node: Any, _: Attributes) -> None:
    source = t.nhwc(t.activation(node, 0))
    if len(source.shape) != 4:
        t.fail(node, "other than two spatial axes are not supported")
    _mean(t, node, source, (1, 2), True)


def _reduce_mean(t: Translation, node: Any, given: Attributes) -> None:
    source = t.activation(node, 0)
    rank = len(source.shape)
    axes = _listed(t, node, given, "axes", [])
    if not axes and given.get("noop_with_empty_axes", 0):
        t.rescale(node, source, t.target(node))
        return
    chosen = sorted({_axis(t, node, a, rank) for a in axes or range(rank)})
    keep = bool(given.get("keepdims", 1))
    if source.channels_last and (keep or chosen == [2, 3]):
        chosen = sorted(NHWC.index(a) for a in chosen)
    else:
        source = t.model_layout(source)
    _mean(t, node, source, tuple(chosen), keep)


def _mean(t: Translation, node: Any, source: Value, axes: tuple[int, ...], keep: bool) -> None:
    target = t.target(node)
    if not target.whole:
        t.fail(node, "a clamp behind it is not supported")
    count = math.prod(source.shape[a] for a in axes)
    shape = [1 if a in axes else n for a, n in enumerate(source.shape) if keep or a not in axes]
    factor = _mean_factor(t, node, source, target, count)
    params = Mean(axes, source.zero_point, target.zero_point, factor)
    t.emit(node, "MEAN", (source.index,), shape, target, params, source.channels_last and keep)


# --- moving data -----------------------------------------------------------------------------


def _concat(t: Translation, node: Any, given: Attributes) -> None:
    target = t.target(node)
    values = [t.activation(node, i) for i in range(len(node.input))]
    last = any(value.channels_last for value in values)
    values = [t.rescaled(t.nhwc(value) if last else value, target) for value in values]
    rank = len(values[0].shape)
    axis = _axis(t, node, given["axis"], rank)
    axis = NHWC.index(axis) if last else axis
    shape = list(values[0].shape)
    shape[axis] = sum(value.shape[axis] for value in values)
    if any(
        len(value.shape) != rank or any(value.shape[a] != shape[a] for a in range(rank) if a != axis)
        for value in values
    ):
        t.fail(node, f"shapes {[value.shape for value in values]} do not fit along axis {axis}")
    params = Concatenation(axis, target.act_min, target.act_max)
    t.emit(node, "CONCATENATION", [value.index for value in values], shape, target, params, last)


def _reshape(t: Translation, node: Any, given: Attributes) -> None:
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
        wanted = [int(n) for n in _listed(t, node, given, "shape")]
        sizes = [shape[i] if n == 0 and not given.get("allowzero", 0) else n for i, n in enumerate(wanted)]
        known = math.prod(n for n in sizes if n != -1)
        return tuple(math.prod(shape) // max(known, 1) if n == -1 else n for n in sizes)
    if kind == "Squeeze":
        axes = _listed(t, node, given, "axes", [a for a, n in enumerate(shape) if n == 1])
        gone = {_axis(t, node, a, rank) for a in axes}
        if any(shape[a] != 1 for a in gone):
            t.fail(node, f"axes {list(axes)} of {shape} are not all 1")
        return tuple(n for a, n in enumerate(shape) if a not in gone)
    axes = _listed(t, node, given, "axes")
    full = rank + len(axes)
    new = {_axis(t, node, a, full) for a in axes}
    left = iter(shape)
    return tuple(1 if a in new else next(left) for a in range(full))


def _listed(
    t: Translation, node: Any, given: Attributes, name: str, default: list[int] | None = None
) -> list[int]:
    """An integer list that is an input in newer operator sets and an attribute in older ones."""
    values = t.constant_input(node, 1)
    if values is not None:
        return [int(v) for v in values.reshape(-1)]
    found = given.get(name, default)
    if found is None:
        t.fail(node, f"its {name} must be a constant")
    return list(found)


def _axis(t: Translation, node: Any, axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        t.fail(node, f"axis {axis} of {rank} dimensions")
    return axis % rank


def _transpose(t: Translation, node: Any, given: Attributes) -> None:
    value = t.activation(node, 0)
    order = tuple(given.get("perm", reversed(range(len(value.shape)))))
    if sorted(order) != list(range(len(value.shape))):
        t.fail(node, f"perm {order} does not fit {value.shape}")
    if value.channels_last:  # axis a of the model lies at NHWC.index(a)
        order = tuple(NHWC.index(axis) for axis in order)
    _arrive(t, node, replace(t.permuted(value, order), channels_last=False), t.target(node))


def _arrive(t: Translation, node: Any, moved: Value, target: Target) -> None:
    """Values that were moved become the node's output, on another scale where it has one."""
    if target.whole and (moved.scale, moved.zero_point) == (target.scale, target.zero_point):
        t.emit(node, "RESHAPE", (moved.index,), moved.shape, target, Reshape())
    else:
        t.rescale(node, moved, target)


def _pad(t: Translation, node: Any, given: Attributes) -> None:
    value = t.activation(node, 0)
    rank = len(value.shape)
    if given.get("mode", "constant") != "constant" or (len(node.input) > 3 and node.input[3]):
        t.fail(node, "only mode='constant' over all axes is supported")
    pads = _listed(t, node, given, "pads")
    if len(pads) != 2 * rank or min(pads) < 0:
        t.fail(node, f"pads {pads} do not fit {value.shape}; none may be negative")
    target = t.target(node)
    real = 0.0
    if len(node.input) > 2 and node.input[2]:
        real = _fill(t, node)
    pairs = list(zip(pads[:rank], pads[rank:], strict=True))
    if value.channels_last:
        pairs = [pairs[axis] for axis in NHWC]
    moved = t.rescaled(value, target)
    shape = [n + before + after for n, (before, after) in zip(value.shape, pairs, strict=True)]
    if not target.whole:
        t.fail(node, "a clamp behind it is not supported")
    fill = int(quantize(np.float32(real), target.scale, target.zero_point, np.int8, rounding="half_even"))
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


# --- functions -------------------------------------------------------------------------------


def _softmax(t: Translation, node: Any, given: Attributes) -> None:
    """Over any axis: it goes behind the others and back, by name only where no element moves."""
    value = t.activation(node, 0)
    rank = len(value.shape)
    axis = _axis(t, node, given.get("axis", -1), rank)
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
        _arrive(t, node, t.permuted(made, [order.index(a) for a in range(rank)]), target)


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
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Sub": _add,
    "Mul": _mul,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "ReduceMean": _reduce_mean,
    "Concat": _concat,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Squeeze": _reshape,
    "Unsqueeze": _reshape,
    "Transpose": _transpose,
    "Pad": _pad,
    "Softmax": _softmax,
    **dict.fromkeys(_FUNCTIONS, _function),
}

SUPPORTED = (*_RULES, "QuantizeLinear", "DequantizeLinear")

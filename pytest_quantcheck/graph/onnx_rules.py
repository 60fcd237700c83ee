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
    Params,
    Pool,
    Requantize,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Table,
    TransposedConvolution,
    Window,
)
from pytest_quantcheck.graph.onnx import (
    Constant,
    Target,
    Translation,
    Value,
    check_size,
    nhwc_order,
    quantized,
    real_values,
    requantized,
    row_major,
)
from pytest_quantcheck.graph.onnx_proto import attributes, kind_of
from pytest_quantcheck.numerics.affine import quantize, quantize_bias
from pytest_quantcheck.numerics.fixed_point import quantize_multiplier
from pytest_quantcheck.numerics.float_scale import float_multiplier

ADD_LEFT_SHIFT = 20
SOFTMAX_SCALE, SOFTMAX_ZERO_POINT, SOFTMAX_INTEGER_BITS = np.float32(1 / 256), -128, 5
MAX_RESIZED = 32_768  # sizes and positions are 16 bits wide on a board, with a sign
HALF = np.float32(0.5)
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
    source, given = _image(t, node, given)
    weights, cells = _kernel(t, node, given)
    outputs, depth, height, width = cells.shape
    groups, channels = int(given.get("group", 1)), source.shape[3]
    if groups * depth != channels or outputs % groups:
        t.fail(node, f"weights {weights.data.shape} in {groups} groups do not fit {channels} input channels")
    target = t.target(node)
    window, shape = _window(t, node, given, source.shape, (height, width))
    _symmetric(t, node, weights, outputs, 0)
    depthwise = depth == 1 and groups > 1
    layout = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    data = np.ascontiguousarray(cells.transpose(layout))
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
    _emit_image(t, node, kind, inputs, (source.shape[0], *shape, outputs), target, params)


def _conv_transpose(t: Translation, node: Any, given: Attributes) -> None:
    """Its weights are (inputs, outputs, height, width); ``pads`` are those of the convolution it transposes.

    Source: ONNX ``ConvTranspose``.
    """
    source, given = _image(t, node, given)
    weights, cells = _kernel(t, node, given)
    depth, outputs, height, width = cells.shape
    if given.get("group", 1) != 1 or tuple(given.get("dilations", (1, 1))) != (1, 1):
        t.fail(node, "groups and dilations other than 1 are not supported")
    if given.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        t.fail(node, f"auto_pad {given['auto_pad']!r} is not supported; export it with pads")
    if depth != source.shape[3]:
        t.fail(node, f"weights {weights.data.shape} do not fit {source.shape[3]} input channels")
    _symmetric(t, node, weights, outputs, 1)
    window, shape = _transposed_window(t, node, given, source.shape, (height, width))
    target = t.target(node)
    data = np.ascontiguousarray(cells.transpose(1, 2, 3, 0))
    inputs = [
        source.index,
        t.add(node.input[1], data.shape, "int8", weights.scale, weights.zero_point, data, 0),
        *_bias(t, node, 2, source.scale, weights, outputs),
    ]
    factor = _factor(t, node, source.scale, weights.scale, target.scale)
    bounds = target.act_min, target.act_max
    params = TransposedConvolution(window, source.zero_point, target.zero_point, factor, *bounds)
    _emit_image(t, node, "TRANSPOSE_CONV", inputs, (source.shape[0], *shape, outputs), target, params)


def _transposed_window(
    t: Translation, node: Any, given: Attributes, shape: Sequence[int], kernel: tuple[int, int]
) -> tuple[Window, tuple[int, int]]:
    """Window and output height and width of a ConvTranspose over an NHWC input."""
    strides = tuple(given.get("strides", (1, 1)))
    pads = tuple(given.get("pads", (0, 0, 0, 0)))
    more = tuple(given.get("output_padding", (0, 0)))
    if [len(each) for each in (strides, pads, more)] != [2, 4, 2] or min(*strides, *kernel) < 1:
        t.fail(node, f"kernel {kernel}, strides {strides}, pads {pads}, output_padding {more} do not fit")
    if min(*pads, *more) < 0 or max(*kernel, *strides, *pads, *more) > MAX_WINDOW:
        t.fail(node, f"pads {pads}, output_padding {more}: sizes from 0 to {MAX_WINDOW} are supported")
    out = [
        strides[axis] * (shape[axis + 1] - 1) + kernel[axis] + more[axis] - pads[axis] - pads[axis + 2]
        for axis in (0, 1)
    ]
    if min(out) < 1:
        t.fail(node, f"kernel {kernel} and pads {pads} leave nothing of an input of {tuple(shape)}")
    window = Window(*kernel, strides[0], strides[1], pad_top=pads[0], pad_left=pads[1])
    return window, (out[0], out[1])


_WINDOWED = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0}


def _image(t: Translation, node: Any, given: Attributes) -> tuple[Value, Attributes]:
    """The input as NHWC, and the attributes for two spatial axes: with one, the image has one row."""
    source = t.nhwc(t.activation(node, 0))
    if not source.channels_last:
        t.fail(node, f"{len(source.shape) - 2} spatial axes; 1 and 2 are supported")
    if len(source.shape) == 4:
        return source, given
    batch, length, channels = source.shape
    lengths = {name: given[name] for name in _WINDOWED if name in given}
    if any(len(each) != 1 for each in lengths.values()) or len(given.get("pads", (0, 0))) != 2:
        t.fail(node, "its kernel, strides, dilations or pads do not fit one spatial axis")
    wide = {**given, **{name: (_WINDOWED[name], *each) for name, each in lengths.items()}}
    if "pads" in given:
        wide["pads"] = (0, given["pads"][0], 0, given["pads"][1])
    return t.insert("RESHAPE", source, (batch, 1, length, channels), Reshape()), wide


def _kernel(t: Translation, node: Any, given: Attributes) -> tuple[Constant, npt.NDArray[Any]]:
    """The weights, and their integers with two spatial axes."""
    weights = t.weights(node, 1)
    data = weights.data
    cells = data.reshape(*data.shape[:2], 1, data.shape[2]) if data.ndim == 3 else data
    if cells.ndim != 4 or data.ndim != len(t.activation(node, 0).shape):
        t.fail(node, f"weights {data.shape} do not fit an input of {t.activation(node, 0).shape}")
    if tuple(given.get("kernel_shape", cells.shape[2:])) != cells.shape[2:]:
        t.fail(node, f"kernel_shape {given['kernel_shape']} is not that of its weights {data.shape}")
    return weights, cells


def _emit_image(
    t: Translation,
    node: Any,
    kind: str,
    inputs: Sequence[int],
    shape: tuple[int, ...],
    target: Target,
    params: Params,
) -> None:
    """An operator over images; the row is taken away again where the model has one spatial axis."""
    t.emit(node, kind, inputs, shape, target, params, channels_last=True)
    if len(t.activation(node, 0).shape) == 3:
        made = t.values[target.name]
        t.values[target.name] = t.insert("RESHAPE", made, (shape[0], *shape[2:]), Reshape())


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
    ceil = bool(given.get("ceil_mode", 0))
    if ceil and kind_of(node) != "MaxPool":
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
        if (
            ceil
            and (length - 1) * strides[axis] + reach < size + total
            and length * strides[axis] < size + first
        ):
            length += 1  # a last window that reaches beyond the padding, but begins before it
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
    source, given = _image(t, node, given)
    target = t.target(node)
    if tuple(given.get("dilations", (1, 1))) != (1, 1):
        t.fail(node, "dilations other than 1 are not supported")
    window, shape = _window(t, node, given, source.shape, tuple(given["kernel_shape"]))
    full = (source.shape[0], *shape, source.shape[3])
    if target.whole and (source.scale, source.zero_point) == (target.scale, target.zero_point):
        _emit_image(t, node, "MAX_POOL_2D", (source.index,), full, target, Pool(window, -128, 127))
        return
    pooled = t.between("MAX_POOL_2D", (source.index,), replace(source, shape=full), Pool(window, -128, 127))
    table = Table(np.clip(requantized(pooled, target), target.act_min, target.act_max))
    _emit_image(t, node, "QUANTIZE", (pooled.index,), full, target, table)


def _average_pool(t: Translation, node: Any, given: Attributes) -> None:
    """A depthwise convolution with ones: cells of the padding count where the model says so."""
    source, given = _image(t, node, given)
    target = t.target(node)
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
    _emit_image(t, node, "DEPTHWISE_CONV_2D", (source.index, weights), full, target, params)


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
    if not source.channels_last:
        t.fail(node, f"{len(source.shape) - 2} spatial axes; 1 and 2 are supported")
    _mean(t, node, source, tuple(range(1, len(source.shape) - 1)), True)


def _reduce_mean(t: Translation, node: Any, given: Attributes) -> None:
    source = t.activation(node, 0)
    rank = len(source.shape)
    axes = _listed(t, node, given, "axes", [])
    if not axes and given.get("noop_with_empty_axes", 0):
        t.rescale(node, source, t.target(node))
        return
    chosen = sorted({_axis(t, node, a, rank) for a in axes or range(rank)})
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
    if value.channels_last:
        order = tuple(nhwc_order(len(order)).index(axis) for axis in order)
    _arrive(t, node, replace(t.permuted(value, order), channels_last=False), t.target(node))


def _arrive(t: Translation, node: Any, moved: Value, target: Target) -> None:
    """Values that were moved become the node's output, on another scale where it has one."""
    if target.whole and (moved.scale, moved.zero_point) == (target.scale, target.zero_point):
        t.emit(node, "RESHAPE", (moved.index,), moved.shape, target, Reshape())
    else:
        t.rescale(node, moved, target)


def _slice(t: Translation, node: Any, _: Attributes) -> None:
    value = t.activation(node, 0)
    rank = len(value.shape)
    starts, ends = (_numbers(t, node, i, name) for i, name in ((1, "starts"), (2, "ends")))
    axes = _numbers(t, node, 3, "axes", list(range(len(starts))))
    steps = _numbers(t, node, 4, "steps", [1] * len(starts))
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        t.fail(node, f"starts {starts}, ends {ends}, axes {axes} and steps {steps} do not fit")
    ranges = [range(n) for n in value.shape]
    for axis, *bounds in zip(axes, starts, ends, steps, strict=True):
        at = _place(value, _axis(t, node, axis, rank))
        ranges[at] = ranges[at][slice(*_stop_before(bounds))]
    _view(t, node, value, ranges, 0)


def _stop_before(bounds: list[int]) -> tuple[int, int | None, int]:
    """ONNX ends a walk backwards at the very front with a number below every index, Python with None."""
    start, end, step = bounds
    return start, (None if step < 0 and end <= -(1 << 31) + 1 else end), step


def _split(t: Translation, node: Any, given: Attributes) -> None:
    """Each output that somebody reads is a view."""
    value = t.activation(node, 0)
    at = _place(value, _axis(t, node, int(given.get("axis", 0)), len(value.shape)))
    whole, count = value.shape[at], len(node.output)
    even = -(-whole // count)
    equal = [even] * (count - 1) + [whole - even * (count - 1)]
    sizes = _numbers(t, node, 1, "split", equal)
    if len(sizes) != count or sum(sizes) != whole or min(sizes) < 1:
        t.fail(node, f"{whole} values do not split into {sizes}")
    for output, size in enumerate(sizes):
        first = sum(sizes[:output])
        if t.readers.get(node.output[output]):
            ranges = [range(first, first + size) if a == at else range(n) for a, n in enumerate(value.shape)]
            _view(t, node, value, ranges, output)


def _place(value: Value, axis: int) -> int:
    """Where an axis of the model lies in the graph."""
    return nhwc_order(len(value.shape)).index(axis) if value.channels_last else axis


def _numbers(
    t: Translation, node: Any, position: int, name: str, default: list[int] | None = None
) -> list[int]:
    """A constant list of integers among the inputs."""
    values = t.constant_input(node, position)
    if values is None and default is None:
        t.fail(node, f"its {name} must be a constant")
    return default or [] if values is None else [int(v) for v in values.reshape(-1)]


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


def _resize(t: Translation, node: Any, given: Attributes) -> None:
    """Nearest positions as onnxruntime has them; linear ones in steps of 1/1024, rounded once."""
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
    if max(*image.shape[1:3], *full[1:3]) >= MAX_RESIZED:
        t.fail(node, f"from {source.shape} to {shape}; heights and widths below {MAX_RESIZED} are supported")
    positions = _nearest if mode == "nearest" else _between
    rows, columns = (positions(given, image.shape[i], full[i], factors[i]) for i in (1, 2))
    target, params = t.target(node), Resize(rows, columns)
    kind = "RESIZE_NEAREST_NEIGHBOR" if mode == "nearest" else "RESIZE_BILINEAR"
    if target.whole and (source.scale, source.zero_point) == (target.scale, target.zero_point):
        _emit_image(t, node, kind, (image.index,), full, target, params)
        return
    if mode != "nearest":
        told = "put a Relu or Clip that follows it before it, or take mode='nearest'"
        t.fail(node, f"with mode='linear' its output must have the scale of its input: {told}")
    made = t.insert(kind, image, full, params)
    table = Table(np.clip(requantized(made, target), target.act_min, target.act_max))
    _emit_image(t, node, "QUANTIZE", (made.index,), full, target, table)


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
    axes = [_place(source, _axis(t, node, int(a), rank)) for a in given.get("axes", range(rank))]
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
_NEAREST: dict[str, Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]] = {
    "round_prefer_floor": lambda x: np.ceil(x - HALF),
    "round_prefer_ceil": lambda x: np.floor(x + HALF),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _coordinates(given: Attributes, size: int, out: int, scale: float) -> npt.NDArray[np.float32]:
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


def _nearest(given: Attributes, size: int, out: int, scale: float) -> npt.NDArray[np.int64]:
    at = _NEAREST[given.get("nearest_mode", "round_prefer_floor")](_coordinates(given, size, out, scale))
    lower = np.clip(at, 0, size - 1).astype(np.int64)
    return np.stack([lower, np.zeros_like(lower)], axis=1)


def _between(given: Attributes, size: int, out: int, scale: float) -> npt.NDArray[np.int64]:
    at = np.clip(_coordinates(given, size, out, scale), 0, size - 1)
    steps = np.rint(at.astype(np.float64) * 1024).astype(np.int64)
    return np.stack([steps >> 10, steps & 1023], axis=1)


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
        pairs = [pairs[axis] for axis in nhwc_order(rank)]
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
    "ConvTranspose": _conv_transpose,
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
    "Slice": _slice,
    "Split": _split,
    "Resize": _resize,
    "Pad": _pad,
    "Softmax": _softmax,
    **dict.fromkeys(_FUNCTIONS, _function),
}

SUPPORTED = (*_RULES, "QuantizeLinear", "DequantizeLinear")

"""Run the integer graph with NumPy, bit for bit as TensorFlow Lite Micro does.

Every function takes a leading sample axis: N inferences at once cost far less than N times one.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.graph.model import (
    Add,
    ArgExtremum,
    BatchMatMul,
    Concatenation,
    Convolution,
    Extremum,
    FloatEdge,
    FullyConnected,
    L2Normalization,
    Lstm,
    Mean,
    Mul,
    Operator,
    Pad,
    Pool,
    Prelu,
    QuantGraph,
    ReduceMax,
    Requantize,
    Rescale,
    Reshape,
    Resize,
    SigmoidInt16,
    Slice,
    Softmax,
    SoftmaxInt16,
    Table,
    Tensor,
    TransposedConvolution,
    Window,
)
from pytest_quantcheck.graph.recurrent import lstm
from pytest_quantcheck.numerics import tables
from pytest_quantcheck.numerics.affine import dequantize, quantize
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.numerics.fixed_point import (
    divide_towards_zero_by_pot,
    exp_on_negative_values,
    l2_normalized,
    multiply_by_quantized_multiplier,
    multiply_by_reduced_multiplier,
    reciprocal,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    wrap_int32,
)
from pytest_quantcheck.numerics.float_scale import multiply_by_float
from pytest_quantcheck.numerics.power_of_two import DIVIDING, divide_by_ratio

Values = list[Union[Array, None]]

_SUM_INTEGER_BITS = 12  # of SOFTMAX's sum of exponentials
_FAR = 1 << 30  # beyond every type of an activation, and a zero point does not lead out of 32 bits


def run(graph: QuantGraph, inputs: Sequence[Array], *, stop_after: int | None = None) -> Values:
    """One inference. ``inputs`` have the model's input shapes and dtypes; states begin with their initial
    values.

    Returns the values of all tensors by tensor index (None where a tensor was not computed); with
    ``stop_after`` execution ends after the operator of that source index. ``UsageError`` for wrong
    inputs.
    """
    values = run_batch(graph, [np.asarray(x)[None] for x in inputs], stop_after=stop_after)
    return [None if value is None else value[0] for value in values]


def run_batch(
    graph: QuantGraph,
    inputs: Sequence[Array],
    *,
    stop_after: int | None = None,
    states: Sequence[Array] | None = None,
) -> Values:
    """N inferences: ``inputs`` are (N, *shape) each; returns (N, *shape) by tensor index.

    ``states`` are what the graph's states begin with, (N, *shape) each; None: their initial values. Constants
    are not among the values.
    """
    values: Values = [None] * len(graph.tensors)
    _check_inputs(graph, inputs)
    for number, state in enumerate(graph.states):
        first = np.broadcast_to(state.initial, (len(inputs[0]), *state.initial.shape))
        values[state.before] = first if states is None else states[number]
    for index, x in zip(graph.inputs, inputs, strict=True):
        values[index] = x
    for op in graph.operators:
        values[op.outputs[0]] = _execute(graph, op, values)
        if op.index == stop_after:
            break
    return values


def apply(op: Operator, dtype: np.dtype[np.generic], x: Array) -> Array:
    """What an operator that works element by element makes of the values ``x``."""
    output = Tensor(0, "", x.shape, dtype)
    result: Array = _KERNELS[type(op.params)](_Call(op.kind, (x[None],), output), op.params)[0]
    return result.astype(dtype)


def computed(value: Array | None) -> Array:
    """A tensor value that is known to have been computed."""
    assert value is not None
    return value


def crc32(value: Array) -> int:
    """CRC-32 over the bytes of one tensor, C order, little-endian."""
    return zlib.crc32(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes())


def _check_inputs(graph: QuantGraph, inputs: Sequence[Array]) -> None:
    if len(inputs) != len(graph.inputs):
        raise UsageError(f"the model has {len(graph.inputs)} inputs, {len(inputs)} were given")
    for index, x in zip(graph.inputs, inputs, strict=True):
        tensor = graph.tensors[index]
        if x.shape[1:] != tensor.shape or x.dtype != tensor.dtype or len(x) != len(inputs[0]):
            raise UsageError(
                f"input {tensor.name!r} is {tensor.dtype.name} {tensor.shape}; "
                f"given: {x.dtype.name} {x.shape[1:]}, {len(x)} samples"
            )


@dataclass(frozen=True, eq=False)
class _Call:
    """One operator at work. Values carry the sample axis; constants have it with length 1."""

    kind: str
    inputs: tuple[Array | None, ...]
    output: Tensor

    def input(self, position: int) -> Array:
        value = self.inputs[position]
        assert value is not None, "the reader guarantees the inputs that a kernel asks for"
        return value

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest value of the output's type."""
        info = np.iinfo(self.output.dtype.name)
        return int(info.min), int(info.max)

    @property
    def bias(self) -> IntArray | int:
        return (
            self.input(2).reshape(-1).astype(np.int64)
            if len(self.inputs) > 2 and self.inputs[2] is not None
            else 0
        )


def _execute(graph: QuantGraph, op: Operator, values: Values) -> Array:
    inputs = []
    for index in op.inputs:
        constant = graph.tensors[index].data if index >= 0 else None
        inputs.append(constant[None] if constant is not None else values[index] if index >= 0 else None)
    output = graph.output_of(op)
    result = _KERNELS[type(op.params)](_Call(op.kind, tuple(inputs), output), op.params)
    samples = max(len(x) for x in inputs if x is not None)
    per_sample = result.reshape(-1, *output.shape)
    return np.ascontiguousarray(np.broadcast_to(per_sample, (samples, *output.shape)), output.dtype)


def requantize(x: IntArray, rule: Requantize) -> IntArray:
    """Sums ``x`` as steps of the output, by the rule; per-channel entries run along the last axis.

    Nothing is saturated but what leaves an int32 by far.
    """
    if rule.rounding == "reduced":
        return wrap_int32(multiply_by_reduced_multiplier(x, rule.multiplier, rule.shift))
    if rule.rounding in DIVIDING:
        return divide_by_ratio(x, rule.multiplier, rule.shift, rule.rounding)
    if rule.rounding in ("float", "float_odd"):
        odd = int(rule.rounding == "float_odd")
        return np.clip(multiply_by_float(x, rule.multiplier, rule.shift, odd=odd), -_FAR, _FAR)
    return multiply_by_quantized_multiplier(x, rule.multiplier, rule.shift, rule.rounding)


def _rescaled(x: IntArray, rule: Requantize, zero_point: int) -> IntArray:
    """Requantized, plus the output's zero point: an ``int32_t`` sum, which wraps at the far end."""
    return wrap_int32(requantize(x, rule) + zero_point)


def _clamp(x: Array, low: int, high: int) -> Array:
    clipped: Array = np.clip(x, low, high)
    return clipped


def windows(x: Array, window: Window, output: Tensor, fill: int) -> Array:
    """A view (N, B, out_h, out_w, C, kernel_h, kernel_w) of the padded input (N, B, H, W, C)."""
    pads, keep, reach = [], [], []
    for axis, kernel, stride, dilation, before in (
        (1, window.kernel_h, window.stride_h, window.dilation_h, window.pad_top),
        (2, window.kernel_w, window.stride_w, window.dilation_w, window.pad_left),
    ):
        reach.append((kernel - 1) * dilation + 1)
        needed = (output.shape[axis] - 1) * stride + reach[-1]
        pads.append((before, max(needed - before - x.shape[axis + 1], 0)))
        keep.append(slice(needed))  # a stride above the kernel leaves cells that no window reaches
    padded = np.pad(x, ((0, 0), (0, 0), *pads, (0, 0)), constant_values=fill)
    views = sliding_window_view(padded[:, :, keep[0], keep[1]], reach, axis=(2, 3))
    strided = views[:, :, :: window.stride_h, :: window.stride_w]
    return strided[..., :: window.dilation_h, :: window.dilation_w]


def _finish(
    call: _Call, accumulator: IntArray, p: Convolution | TransposedConvolution | FullyConnected
) -> Array:
    """Sums are 64 bits wide where int16 kernels do not round twice, else 32 bits."""
    wide = call.output.dtype == np.int16 and p.requantize.rounding != "double"
    sums = accumulator if wide else wrap_int32(accumulator)
    return _clamp(_rescaled(sums, p.requantize, p.output_zero_point), p.act_min, p.act_max)


def _convolution(call: _Call, p: Convolution) -> Array:
    x = call.input(0).astype(np.int16) - np.int16(p.input_zero_point)
    cells = windows(x, p.window, call.output, 0)
    multiply = _depthwise_sums if p.depth_multiplier else _convolution_sums
    return _finish(call, multiply(cells, call.input(1)[0]) + call.bias, p)


def _exact_type(windows: Array, weights: Array, terms: int) -> type[np.number[Any]]:
    """A type in which sums of that many products are exact: a float type where it can be, for BLAS."""
    largest = max(int(windows.max(initial=0)), -int(windows.min(initial=0)))
    bound = terms * largest << (7 if weights.dtype == np.int8 else 15)
    return np.float32 if bound < 1 << 24 else np.float64 if bound < 1 << 53 else np.int64


def _convolution_sums(windows: Array, weights: Array) -> IntArray:
    """Dot products of OHWI weights; fewer weight than input channels mean grouped convolution."""
    outputs, _, _, depth = weights.shape
    groups = windows.shape[4] // depth
    dtype = _exact_type(windows, weights, weights[0].size)
    sums = []
    for group in range(groups):
        patches = windows[:, :, :, :, group * depth : (group + 1) * depth]
        kernels = weights[group * outputs // groups : (group + 1) * outputs // groups]
        rows = np.ascontiguousarray(patches, dtype=dtype).reshape(*patches.shape[:4], -1)
        sums.append(rows @ kernels.transpose(3, 1, 2, 0).reshape(-1, len(kernels)).astype(dtype))
    return np.concatenate(sums, axis=-1).astype(np.int64)


def _depthwise_sums(windows: Array, weights: Array) -> IntArray:
    """Output channel ``c * multiplier + m`` belongs to input channel c."""
    _, kernel_h, kernel_w, channels = weights.shape
    multiplier = channels // windows.shape[4]
    total = np.zeros((*windows.shape[:4], channels), np.int64)
    for i in range(kernel_h):
        for j in range(kernel_w):
            cells = np.repeat(windows[..., i, j], multiplier, axis=4)
            total += cells * weights[0, i, j].astype(np.int32)
    return total


def _transposed_convolution(call: _Call, p: TransposedConvolution) -> Array:
    """Every kernel cell adds one picture of products to every stride_h-th row and stride_w-th column."""
    x = call.input(0).astype(np.float64) - p.input_zero_point
    weights = call.input(1)[0].astype(np.float64)
    w, (height, width) = p.window, x.shape[2:4]
    rows = (height - 1) * w.stride_h + w.kernel_h
    columns = (width - 1) * w.stride_w + w.kernel_w
    sums = np.zeros((*x.shape[:2], rows, columns, len(weights)), np.int64)
    for i in range(w.kernel_h):
        for j in range(w.kernel_w):
            row, column = (
                slice(i, i + height * w.stride_h, w.stride_h),
                slice(j, j + width * w.stride_w, w.stride_w),
            )
            sums[:, :, row, column] += (x @ weights[:, i, j].T).astype(np.int64)
    _, out_h, out_w, _ = call.output.shape
    missing = [max(0, w.pad_top + out_h - rows), max(0, w.pad_left + out_w - columns)]
    sums = np.pad(sums, ((0, 0), (0, 0), (0, missing[0]), (0, missing[1]), (0, 0)))
    seen: IntArray = sums[:, :, w.pad_top : w.pad_top + out_h, w.pad_left : w.pad_left + out_w]
    return _finish(call, seen + call.bias, p)


def _batch_matmul(call: _Call, p: BatchMatMul) -> Array:
    a, b = _aligned(call, 0) - p.input1_zero_point, _aligned(call, 1) - p.input2_zero_point
    a, b = (np.swapaxes(x, -1, -2) if swap else x for x, swap in ((a, p.adj_x), (b, p.adj_y)))
    sums = np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(np.int64)
    if call.output.dtype == np.int8:
        sums = wrap_int32(sums)
    return _clamp(_rescaled(sums, p.requantize, p.output_zero_point), *call.limits)


def _fully_connected(call: _Call, p: FullyConnected) -> Array:
    exact = _exact_type(call.input(0), call.input(1), call.input(1).shape[2])
    dtype = np.int64 if exact is np.int64 else np.float64  # zero points double what is summed
    weights = call.input(1)[0].astype(dtype) - p.weight_zero_point
    rows = call.input(0).reshape(-1, weights.shape[1]).astype(dtype) - p.input_zero_point
    return _finish(call, (rows @ weights.T).astype(np.int64) + call.bias, p)


def _aligned(call: _Call, position: int) -> IntArray:
    """An input with the output's rank, so that samples stay apart when it broadcasts."""
    x = call.input(position)
    ones = (1,) * (1 + len(call.output.shape) - x.ndim)
    return x.reshape(len(x), *ones, *x.shape[1:]).astype(np.int64)


def _add(call: _Call, p: Add) -> Array:
    scaled = []
    rules = ((p.input1_zero_point, p.input1), (p.input2_zero_point, p.input2))
    for position, (zero_point, rule) in enumerate(rules):
        scaled.append(requantize((_aligned(call, position) - zero_point) << p.left_shift, rule))
    total = scaled[0] + scaled[1] if call.kind == "ADD" else scaled[0] - scaled[1]
    if call.kind == "SQUARED_DIFFERENCE":
        total = wrap_int32(total * total)
    result = _rescaled(total, p.output, p.output_zero_point)
    return _clamp(result, p.act_min, p.act_max)


def _mul(call: _Call, p: Mul) -> Array:
    product = (_aligned(call, 0) - p.input1_zero_point) * (_aligned(call, 1) - p.input2_zero_point)
    return _clamp(_rescaled(product, p.requantize, p.output_zero_point), p.act_min, p.act_max)


def _extremum(call: _Call, _: Extremum) -> Array:
    choose = np.minimum if call.kind == "MINIMUM" else np.maximum
    return choose(_aligned(call, 0), _aligned(call, 1))


def _prelu(call: _Call, p: Prelu) -> Array:
    x = _aligned(call, 0) - p.input_zero_point
    negative = requantize(x * (_aligned(call, 1) - p.slope_zero_point), p.slope)
    result = np.where(x >= 0, requantize(x, p.identity), negative) + p.output_zero_point
    return _clamp(wrap_int32(result), *call.limits)


def _pool(call: _Call, p: Pool) -> Array:
    x = call.input(0).astype(np.int32)
    if call.kind == "MAX_POOL_2D":
        result = windows(x, p.window, call.output, call.limits[0]).max(axis=(5, 6))
    else:
        total = windows(x, p.window, call.output, 0).sum(axis=(5, 6))
        count = windows(np.ones_like(x[:1, :1, :, :, :1]), p.window, call.output, 0).sum(axis=(5, 6))
        # half away from zero: C adds half the count with the sum's sign and truncates
        result = np.sign(total) * ((np.abs(total) + count // 2) // count)
    return _clamp(result, p.act_min, p.act_max)


def _mean(call: _Call, p: Mean) -> Array:
    x = call.input(0).astype(np.int64)
    axes = tuple(axis + 1 for axis in p.axes)
    count = math.prod(x.shape[axis] for axis in axes)
    total = x.sum(axis=axes) - p.input_zero_point * count
    return _clamp(_rescaled(wrap_int32(total), p.requantize, p.output_zero_point), *call.limits)


def _reduce_max(call: _Call, p: ReduceMax) -> Array:
    largest: Array = call.input(0).max(axis=tuple(axis + 1 for axis in p.axes))
    return largest


def _arg_extremum(call: _Call, p: ArgExtremum) -> Array:
    choose = np.argmin if call.kind == "ARG_MIN" else np.argmax
    return np.asarray(choose(call.input(0), axis=p.axis + 1))


def _l2_normalization(call: _Call, p: L2Normalization) -> Array:
    return _clamp(l2_normalized(call.input(0).astype(np.int64) - p.input_zero_point), *call.limits)


def _pad(call: _Call, p: Pad) -> Array:
    return np.pad(call.input(0), ((0, 0), *p.paddings), constant_values=p.value)


def _reshape(call: _Call, _: Reshape) -> Array:
    return call.input(0)


def _slice(call: _Call, p: Slice) -> Array:
    x = np.ascontiguousarray(call.input(0)).reshape(len(call.input(0)), -1)
    step = x.dtype.itemsize
    strides = (x.strides[0], *(step * stride for stride in p.strides))
    return as_strided(x[:, p.offset :], (len(x), *(p.shape or call.output.shape)), strides, writeable=False)


def _concatenation(call: _Call, p: Concatenation) -> Array:
    parts = [x for x in call.inputs if x is not None]
    samples = max(len(x) for x in parts)
    before, behind = call.output.shape[: p.axis], call.output.shape[p.axis + 1 :]
    whole = []
    for part in parts:
        x = part.reshape(len(part), *before, -1, *behind)
        whole.append(np.broadcast_to(x, (samples, *x.shape[1:])))
    return _clamp(np.concatenate(whole, axis=p.axis + 1), p.act_min, p.act_max)


def _resize(call: _Call, p: Resize) -> Array:
    """Source: TFLM ``ResizeBilinearInteger``."""
    x = call.input(0).astype(np.int64)
    x = x.reshape(len(x), *(p.shape or x.shape[1:]))
    for axis, places in ((2, p.rows), (3, p.columns)):
        lower, weight = places[:, 0], places[:, 1]
        upper = np.take(x, lower + (weight > 0), axis)
        weight = weight.reshape(-1, *(1,) * (4 - axis))
        x = np.take(x, lower, axis) * (1024 - weight) + upper * weight
    return divide_towards_zero_by_pot(x + np.where(x > 0, 1 << 19, -(1 << 19)), 20)


def _softmax(call: _Call, p: Softmax) -> Array:
    """Source: TFLM ``reference_ops::Softmax`` from int8 to int8 or int16."""
    x = call.input(0).astype(np.int64)
    difference = x - x.max(axis=-1, keepdims=True)
    counted = difference >= p.diff_min
    shifted = np.where(counted, difference, 0) << p.input_left_shift
    scaled = saturating_rounding_doubling_high_mul(wrap_int32(shifted), p.input_multiplier)
    exponentials = exp_on_negative_values(scaled)
    terms = np.where(counted, rounding_divide_by_pot(exponentials, _SUM_INTEGER_BITS), 0)
    scale, bits = reciprocal(terms.sum(axis=-1, keepdims=True), _SUM_INTEGER_BITS)
    product = saturating_rounding_doubling_high_mul(scale, exponentials)
    low, high = call.limits
    result = rounding_divide_by_pot(product, bits + 31 - 8 * call.output.dtype.itemsize) + low
    return np.where(counted, np.clip(result, low, high), low)


def _softmax_int16(call: _Call, p: SoftmaxInt16) -> Array:
    """Source: TFLM ``reference_ops::SoftmaxInt16``."""
    x = call.input(0).astype(np.int64)
    steps = requantize(x - x.max(axis=-1, keepdims=True), p.requantize) + 32767
    exponentials = tables.interpolate(np.clip(steps, -32768, 32767), tables.exp_table())
    total = exponentials.sum(axis=-1, keepdims=True)  # Q16.15
    headroom = 31 - np.frexp(total.astype(np.float64))[1].astype(np.int64)
    fraction = (((total << headroom) + (1 << 13)) >> 14) - (1 << 16) - (1 << 15)
    scale = tables.interpolate(np.clip(fraction, -32768, 32767), tables.reciprocal_table())
    right = 30 - headroom
    return _clamp((exponentials * scale + (1 << (right - 1))) >> right, 0, 32767)


def _table(call: _Call, p: Table) -> Array:
    values: Array = p.values[call.input(0).astype(np.int64) + 128]
    return values


def _sigmoid_int16(call: _Call, p: SigmoidInt16) -> Array:
    """Sources: TFLM ``reference/integer_ops/logistic.h`` and ``tanh.h``."""
    half = 1 << (p.shift - 1) if p.shift else 0
    steps = (call.input(0).astype(np.int64) * p.multiplier + half) >> p.shift
    return tables.sigmoid(steps) if call.kind == "LOGISTIC" else tables.tanh(steps)


def _rescale(call: _Call, p: Rescale) -> Array:
    x = call.input(0).astype(np.int64) - p.input_zero_point
    if p.requantize is not None:
        return _clamp(_rescaled(x, p.requantize, p.output_zero_point), p.act_min, p.act_max)
    return _clamp(x + p.output_zero_point, p.act_min, p.act_max)


def _float_edge(call: _Call, p: FloatEdge) -> Array:
    if call.kind == "QUANTIZE":
        return quantize(call.input(0), p.scale, p.zero_point, call.output.dtype, rounding=p.rounding)
    return dequantize(call.input(0), p.scale, p.zero_point)


_KERNELS: dict[type, Callable[[_Call, Any], Array]] = {
    Convolution: _convolution,
    TransposedConvolution: _transposed_convolution,
    FullyConnected: _fully_connected,
    BatchMatMul: _batch_matmul,
    Add: _add,
    Mul: _mul,
    Extremum: _extremum,
    Prelu: _prelu,
    Pool: _pool,
    Mean: _mean,
    ReduceMax: _reduce_max,
    ArgExtremum: _arg_extremum,
    L2Normalization: _l2_normalization,
    Pad: _pad,
    Reshape: _reshape,
    Slice: _slice,
    Concatenation: _concatenation,
    Resize: _resize,
    Softmax: _softmax,
    SoftmaxInt16: _softmax_int16,
    Table: _table,
    SigmoidInt16: _sigmoid_int16,
    Lstm: lambda call, p: lstm([call.input(i) for i in range(len(call.inputs))], call.limits, p),
    Rescale: _rescale,
    FloatEdge: _float_edge,
}

"""Run the integer graph with NumPy, bit for bit as TensorFlow Lite Micro does.

Every function takes a leading sample axis: N inferences at once cost far less than N times one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Union

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.graph.model import (
    Add,
    Concatenation,
    Convolution,
    FloatEdge,
    FullyConnected,
    IntArray,
    Mean,
    Operator,
    Pad,
    Pool,
    QuantGraph,
    Requantize,
    Reshape,
    Rescale,
    Softmax,
    Tensor,
    Window,
)
from pytest_quantcheck.numerics.affine import dequantize, quantize
from pytest_quantcheck.numerics.fixed_point import (
    exp_on_negative_values,
    multiply_by_quantized_multiplier,
    reciprocal,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    wrap_int32,
)

Array = npt.NDArray[Any]
Values = list[Union[Array, None]]

_SUM_INTEGER_BITS = 12  # of SOFTMAX's sum of exponentials


def run(graph: QuantGraph, inputs: Sequence[Array], *, stop_after: int | None = None) -> Values:
    """One inference. ``inputs`` have the model's input shapes and dtypes.

    Returns the values of all tensors by tensor index (None where a tensor was not computed); with
    ``stop_after`` execution ends after the operator of that source index. ``UsageError`` for wrong
    inputs.
    """
    values = run_batch(graph, [np.asarray(x)[None] for x in inputs], stop_after=stop_after)
    return [None if value is None else value[0] for value in values]


def run_batch(graph: QuantGraph, inputs: Sequence[Array], *, stop_after: int | None = None) -> Values:
    """N inferences: ``inputs`` are (N, *shape) each; returns (N, *shape) by tensor index.

    Constants are not among the values.
    """
    values: Values = [None] * len(graph.tensors)
    _check_inputs(graph, inputs)
    for index, x in zip(graph.inputs, inputs, strict=True):
        values[index] = x
    for op in graph.operators:
        values[op.outputs[0]] = _execute(graph, op, values)
        if op.index == stop_after:
            break
    return values


def largest_intermediate(graph: QuantGraph) -> int:
    """Elements of the largest array that one inference needs, to choose how many fit at once."""
    largest = 1
    for op in graph.operators:
        size = graph.output_of(op).nbytes
        if isinstance(op.params, Convolution):
            window = op.params.window
            shape = graph.tensors[op.inputs[0]].shape
            size = size // graph.output_of(op).shape[3] * window.kernel_h * window.kernel_w * shape[3]
        largest = max(largest, size)
    return largest


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


def _execute(graph: QuantGraph, op: Operator, values: Values) -> Array:
    # Constants get a sample axis of length 1, so that they broadcast against activations.
    inputs: list[Array | None] = []
    for index in op.inputs:
        tensor = graph.tensors[index]
        inputs.append(None if index < 0 else values[index] if tensor.data is None else tensor.data[None])
    kernel = _KERNELS[type(op.params)]
    output = graph.output_of(op)
    result = kernel(op, inputs, output)
    samples = max(len(x) for x in inputs if x is not None)
    return np.ascontiguousarray(
        np.broadcast_to(result.reshape(len(result), *output.shape), (samples, *output.shape)),
        dtype=output.dtype,
    )


def _requantize(x: IntArray, rule: Requantize) -> IntArray:
    """Per-channel entries run along the last axis."""
    return multiply_by_quantized_multiplier(x, rule.multiplier, rule.shift, rule.rounding)


def _padded(x: Array, window: Window, output: Tensor, fill: int) -> Array:
    """(N*B, H, W, C) with exactly the rows and columns that the windows reach."""
    pads = []
    for axis, kernel, stride, dilation, before in (
        (1, window.kernel_h, window.stride_h, window.dilation_h, window.pad_top),
        (2, window.kernel_w, window.stride_w, window.dilation_w, window.pad_left),
    ):
        reach = (output.shape[axis] - 1) * stride + (kernel - 1) * dilation + 1
        after = reach - before - x.shape[axis]
        # a stride above the kernel may leave cells at the end that no window reaches
        x = np.delete(x, np.s_[x.shape[axis] + after :], axis) if after < 0 else x
        pads.append((before, max(after, 0)))
    return np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)


def _windows(x: Array, window: Window, output: Tensor, fill: int) -> Array:
    """A view (N*B, out_h, out_w, C, kernel_h, kernel_w) of the padded input."""
    reach = (
        (window.kernel_h - 1) * window.dilation_h + 1,
        (window.kernel_w - 1) * window.dilation_w + 1,
    )
    views = sliding_window_view(_padded(x, window, output, fill), reach, axis=(1, 2))
    return views[:, :: window.stride_h, :: window.stride_w, :, :: window.dilation_h, :: window.dilation_w]


def _images(x: Array) -> Array:
    """(N, B, H, W, C) as (N*B, H, W, C)."""
    return x.reshape(-1, *x.shape[2:])


def _exact_float(terms: int) -> type[np.floating[Any]]:
    """A float type in which sums of that many int8 x int9 products are exact, hence BLAS usable."""
    return np.float32 if terms * 128 * 255 < 1 << 24 else np.float64


def _bias(inputs: Sequence[Array | None]) -> IntArray | int:
    bias = inputs[2] if len(inputs) > 2 else None
    return 0 if bias is None else bias.reshape(-1).astype(np.int64)


def _finish(accumulator: IntArray, p: Convolution | FullyConnected) -> Array:
    result = _requantize(wrap_int32(accumulator), p.requantize) + p.output_zero_point
    return np.clip(result, p.act_min, p.act_max)


def _convolution(op: Operator, inputs: Sequence[Array | None], output: Tensor) -> Array:
    p = op.params
    assert isinstance(p, Convolution)
    source, weights = inputs[0], inputs[1]
    assert source is not None
    assert weights is not None
    x = _images(source).astype(np.int16) - np.int16(p.input_zero_point)
    windows = _windows(x, p.window, output, 0)
    multiply = _depthwise_sums if p.depth_multiplier else _convolution_sums
    accumulator = multiply(windows, weights[0]) + _bias(inputs)
    return _finish(accumulator, p).reshape(len(source), *output.shape)


def _convolution_sums(windows: Array, weights: Array) -> IntArray:
    """Dot products of OHWI weights; fewer weight than input channels mean grouped convolution."""
    outputs, _, _, depth = weights.shape
    groups = windows.shape[3] // depth
    dtype = _exact_float(weights[0].size)
    sums = []
    for group in range(groups):
        patch = windows[:, :, :, group * depth : (group + 1) * depth]
        kernel = weights[group * (outputs // groups) : (group + 1) * (outputs // groups)]
        rows = np.ascontiguousarray(patch, dtype=dtype).reshape(*patch.shape[:3], -1)
        sums.append(rows @ kernel.transpose(3, 1, 2, 0).reshape(-1, len(kernel)).astype(dtype))
    return np.concatenate(sums, axis=-1).astype(np.int64)


def _depthwise_sums(windows: Array, weights: Array) -> IntArray:
    """Channel ``c * multiplier + m`` is input channel c under weight channel ``c * multiplier + m``."""
    _, kernel_h, kernel_w, channels = weights.shape
    multiplier = channels // windows.shape[3]
    total = np.zeros((*windows.shape[:3], channels), np.int32)
    for i in range(kernel_h):
        for j in range(kernel_w):
            total += np.repeat(windows[..., i, j], multiplier, axis=3) * weights[0, i, j].astype(np.int32)
    return total.astype(np.int64)


def _fully_connected(op: Operator, inputs: Sequence[Array | None], output: Tensor) -> Array:
    p = op.params
    assert isinstance(p, FullyConnected)
    source, weights = inputs[0], inputs[1]
    assert source is not None
    assert weights is not None
    kernel = weights[0].astype(np.float64) - p.weight_zero_point
    rows = source.reshape(-1, kernel.shape[1]).astype(np.float64) - p.input_zero_point
    accumulator = (rows @ kernel.T).astype(np.int64) + _bias(inputs)
    return _finish(accumulator, p).reshape(len(source), *output.shape)


def _add(op: Operator, inputs: Sequence[Array | None], output: Tensor) -> Array:
    p = op.params
    assert isinstance(p, Add)
    scaled = []
    for x, zero_point, rule in zip(
        inputs, (p.input1_zero_point, p.input2_zero_point), (p.input1, p.input2), strict=True
    ):
        assert x is not None
        ones = (1,) * (1 + len(output.shape) - x.ndim)
        aligned = x.reshape(len(x), *ones, *x.shape[1:]).astype(np.int64)
        scaled.append(_requantize((aligned - zero_point) << p.left_shift, rule))
    result = _requantize(wrap_int32(scaled[0] + scaled[1]), p.output) + p.output_zero_point
    return np.clip(result, p.act_min, p.act_max)


def _pool(op: Operator, inputs: Sequence[Array | None], output: Tensor) -> Array:
    p = op.params
    assert isinstance(p, Pool)
    source = inputs[0]
    assert source is not None
    x = _images(source).astype(np.int32)
    if op.kind == "MAX_POOL_2D":
        result = _windows(x, p.window, output, -128).max(axis=(4, 5))
    else:
        total = _windows(x, p.window, output, 0).sum(axis=(4, 5))
        count = _windows(np.ones_like(x[:1, :, :, :1]), p.window, output, 0).sum(axis=(4, 5))
        # half away from zero: C's truncating division after adding half the count with the sum's sign
        result = np.sign(total) * ((np.abs(total) + count // 2) // count)
    return np.clip(result, p.act_min, p.act_max).reshape(len(source), *output.shape)


def _mean(op: Operator, inputs: Sequence[Array | None], output: Tensor) -> Array:
    p = op.params
    assert isinstance(p, Mean)
    source = inputs[0]
    assert source is not None
    axes = tuple(axis + 1 for axis in p.axes)
    count = int(np.prod([source.shape[axis] for axis in axes]))
    total = source.astype(np.int64).sum(axis=axes) - p.input_zero_point * count
    result = _requantize(wrap_int32(total), p.requantize) + p.output_zero_point
    return np.clip(result, -128, 127).reshape(len(source), *output.shape)


def _pad(op: Operator, inputs: Sequence[Array | None], output: Tensor) -> Array:
    p = op.params
    assert isinstance(p, Pad)
    assert inputs[0] is not None
    return np.pad(inputs[0], ((0, 0), *p.paddings), constant_values=p.value)


def _reshape(op: Operator, inputs: Sequence[Array | None], output: Tensor) -> Array:
    assert inputs[0] is not None
    return inputs[0].reshape(len(inputs[0]), *output.shape)


def _concatenation(op: Operator, inputs: Sequence[Array | None], output: Tensor) -> Array:
    p = op.params
    assert isinstance(p, Concatenation)
    parts = [x for x in inputs if x is not None]
    samples = max(len(x) for x in parts)
    parts = [np.broadcast_to(x, (samples, *x.shape[1:])) for x in parts]
    return np.clip(np.concatenate(parts, axis=p.axis + 1), p.act_min, p.act_max)


def _softmax(op: Operator, inputs: Sequence[Array | None], output: Tensor) -> Array:
    """Source: TFLM ``reference_ops::Softmax`` for int8."""
    p = op.params
    assert isinstance(p, Softmax)
    assert inputs[0] is not None
    x = inputs[0].astype(np.int64)
    difference = x - x.max(axis=-1, keepdims=True)
    counted = difference >= p.diff_min
    scaled = saturating_rounding_doubling_high_mul(
        wrap_int32(np.where(counted, difference, 0) << p.input_left_shift), p.input_multiplier
    )
    exponentials = exp_on_negative_values(scaled)
    terms = np.where(counted, rounding_divide_by_pot(exponentials, _SUM_INTEGER_BITS), 0)
    scale, bits = reciprocal(terms.sum(axis=-1, keepdims=True), _SUM_INTEGER_BITS)
    product = saturating_rounding_doubling_high_mul(scale, exponentials)
    result = rounding_divide_by_pot(product, bits + 31 - 8) - 128
    return np.where(counted, np.clip(result, -128, 127), -128)


def _rescale(op: Operator, inputs: Sequence[Array | None], output: Tensor) -> Array:
    p = op.params
    assert isinstance(p, Rescale)
    assert inputs[0] is not None
    x = inputs[0].astype(np.int64) - p.input_zero_point
    if p.requantize is not None:
        x = _requantize(x, p.requantize)
    return np.clip(x + p.output_zero_point, p.act_min, p.act_max)


def _float_edge(op: Operator, inputs: Sequence[Array | None], output: Tensor) -> Array:
    p = op.params
    assert isinstance(p, FloatEdge)
    assert inputs[0] is not None
    if op.kind == "QUANTIZE":
        return quantize(inputs[0], p.scale, p.zero_point, output.dtype)
    return dequantize(inputs[0], p.scale, p.zero_point)


_KERNELS: dict[type, Callable[[Operator, Sequence[Array | None], Tensor], Array]] = {
    Convolution: _convolution,
    FullyConnected: _fully_connected,
    Add: _add,
    Pool: _pool,
    Mean: _mean,
    Pad: _pad,
    Reshape: _reshape,
    Concatenation: _concatenation,
    Softmax: _softmax,
    Rescale: _rescale,
    FloatEdge: _float_edge,
}

"""From an operator's options and scales to the integers that decide its result, one function a kind.

Each function checks everything it relies on and raises ``UnsupportedOperatorError`` with the operator's
index, kind and the reason. The arithmetic is TFLM's; its sources are named where it is surprising.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import tflite

from pytest_quantcheck.errors import UnsupportedOperatorError
from pytest_quantcheck.formats.tflite import OperatorSummary
from pytest_quantcheck.graph.model import (
    Add,
    BatchMatMul,
    Concatenation,
    Convolution,
    Extremum,
    FloatEdge,
    FullyConnected,
    IntArray,
    Mean,
    Mul,
    Pad,
    Params,
    Pool,
    Prelu,
    Quantization,
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
    row_major,
)
from pytest_quantcheck.numerics import fixed_point
from pytest_quantcheck.numerics.affine import round_half_away
from pytest_quantcheck.numerics.fixed_point import quantize_multiplier, rounding_divide_by_pot

INT8_MIN, INT8_MAX = -128, 127
MAX_PADDED = 1 << 26  # values of an image with its padding
ADD_LEFT_SHIFT = {"int8": 20, "int16": 15}
SOFTMAX_INTEGER_BITS = 5
TFLM_SOFTMAX_LIMIT = 512  # its exponent of the sum must stay below 32 bits
SIGMOID_INTEGER_BITS = 4
MAX_SHIFT = 30  # an int32_t cannot be shifted further
MAX_REDUCED_SHIFT = 7  # nor a 48-bit sum
MAX_RESIZED = 1 << 15  # height and width
MAX_WIDE_BIAS = 1 << 46  # so that bias and products stay below 2**47


@dataclass(frozen=True, eq=False)
class Site:
    """One operator with its tensors; ``inputs`` holds None for absent ones."""

    summary: OperatorSummary
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    def fail(self, reason: str) -> NoReturn:
        raise UnsupportedOperatorError(f"operator {self.summary.index} ({self.summary.kind}): {reason}")

    def option(self, name: str) -> Any:
        if self.summary.options is None:
            self.fail("the file has no option table for it")
        return self.summary.options[name]

    def arity(self, fewest: int, most: int | None = None, outputs: int = 1) -> None:
        most = fewest if most is None else most
        if not fewest <= len(self.inputs) <= most or any(t is None for t in self.inputs[:fewest]):
            allowed = str(fewest) if most == fewest else f"{fewest} to {most}"
            self.fail(f"has {sum(t is not None for t in self.inputs)} inputs, {allowed} are allowed")
        if len(self.outputs) != outputs:
            self.fail(f"has {len(self.outputs)} outputs, {outputs} are allowed")

    def input(self, position: int) -> Tensor:
        tensor = self.inputs[position] if position < len(self.inputs) else None
        if tensor is None:
            self.fail(f"input {position} is absent")
        return tensor

    @property
    def output(self) -> Tensor:
        return self.outputs[0]

    def require_dtype(self, tensor: Tensor, *allowed: str) -> None:
        if tensor.dtype.name not in allowed:
            self.fail(f"{describe(tensor)} is {tensor.dtype.name}; allowed here: {', '.join(allowed)}")

    def require_rank(self, tensor: Tensor, *allowed: int) -> None:
        if len(tensor.shape) not in allowed:
            ranks = " or ".join(str(rank) for rank in allowed)
            self.fail(f"{describe(tensor)} has {len(tensor.shape)} dimensions; {ranks} are allowed here")

    def require_shape(self, tensor: Tensor, shape: Sequence[int]) -> None:
        if tensor.shape != tuple(shape):
            self.fail(f"{describe(tensor)} has shape {tensor.shape}, but its inputs give {tuple(shape)}")

    def constant(self, position: int, *dtypes: str) -> np.ndarray[Any, Any]:
        tensor = self.input(position)
        if tensor.data is None:
            self.fail(f"{describe(tensor)} must be a constant")
        self.require_dtype(tensor, *dtypes)
        return tensor.data

    def per_tensor(self, tensor: Tensor) -> tuple[np.float32, int]:
        """Scale and zero point of a tensor quantized with one pair."""
        quantization = self.quantization(tensor)
        if quantization.per_channel:
            self.fail(f"{describe(tensor)} is quantized per channel; one scale is allowed here")
        return quantization.scale[0], int(quantization.zero_point[0])

    def quantization(self, tensor: Tensor) -> Quantization:
        if tensor.quantization is None:
            self.fail(f"{describe(tensor)} has no scale")
        return tensor.quantization

    @property
    def dtype(self) -> str:
        """The type of the operator's activations: that of its first input, int8 or int16."""
        self.require_dtype(self.input(0), "int8", "int16")
        return self.input(0).dtype.name

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest value of the output's type."""
        info = np.iinfo(self.output.dtype.name)
        return int(info.min), int(info.max)

    def activation_tensor(self, tensor: Tensor) -> tuple[np.float32, int]:
        """Scale and zero point of an activation of the operator's type."""
        self.require_dtype(tensor, self.dtype)
        return self.integer_tensor(tensor)

    def integer_tensor(self, tensor: Tensor) -> tuple[np.float32, int]:
        """Scale and zero point of an activation of any integer type; int16 is symmetric."""
        scale, zero_point = self.per_tensor(tensor)
        if tensor.dtype.name == "int16" and zero_point != 0:
            self.fail(f"{describe(tensor)} is int16 with zero point {zero_point}; 0 is allowed")
        return scale, zero_point

    def requantize(self, real: Any, rounding: str = "double") -> Requantize:
        """Multipliers and shifts for real factors (float64, one or one per channel)."""
        values = np.atleast_1d(np.asarray(real, np.float64))
        if not np.all(np.isfinite(values)):
            self.fail("the ratio of its scales is not finite")
        multiplier, shift = quantize_multiplier(values)
        if shift.max() > (MAX_REDUCED_SHIFT if rounding == "reduced" else MAX_SHIFT):
            self.fail(f"the ratio of its scales, {values.max():g}, does not fit its arithmetic")
        return Requantize(multiplier, shift, rounding)

    def clamp(self) -> tuple[int, int]:
        """The output's range after the fused activation. Source: ``CalculateActivationRangeQuantized``."""
        code = self.option("FusedActivationFunction")
        if code not in _ACTIVATION_RANGES:
            self.fail(f"fused activation {code} is not supported; allowed: NONE, RELU, RELU6, RELU_N1_TO_1")
        scale, zero_point = self.per_tensor(self.output)
        low, high = _ACTIVATION_RANGES[code]
        smallest, largest = self.limits
        return (
            smallest if low is None else max(smallest, zero_point + self.steps(low, scale)),
            largest if high is None else min(largest, zero_point + self.steps(high, scale)),
        )

    def steps(self, real: float, scale: np.float32) -> int:
        """``real`` in steps of ``scale``: divided in float32, rounded half away from zero."""
        with np.errstate(over="ignore"):
            value = float(round_half_away(np.asarray(np.float32(real) / scale)))
        if not abs(value) < 2**31:
            self.fail(f"its activation bound {real:g} is more than 2**31 steps of the output scale {scale:g}")
        return int(value)


_ACTIVATION_RANGES: dict[int, tuple[float | None, float | None]] = {
    tflite.ActivationFunctionType.NONE: (None, None),
    tflite.ActivationFunctionType.RELU: (0.0, None),
    tflite.ActivationFunctionType.RELU6: (0.0, 6.0),
    tflite.ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
}


def describe(tensor: Tensor) -> str:
    """How error messages name a tensor."""
    return f"tensor {tensor.index} ({tensor.name})" if tensor.name else f"tensor {tensor.index}"


def lower(site: Site) -> tuple[Params, ...]:
    """The parameters for each output of one operator; ``UnsupportedOperatorError`` for what is outside
    the set."""
    rule = _RULES.get(site.summary.kind)
    if rule is None:
        site.fail(f"this operator is not supported; supported: {', '.join(SUPPORTED)}")
    params = rule(site)
    return params if isinstance(params, tuple) else (params,)


def _window(
    site: Site, source: Tensor, target: Tensor, kernel: tuple[int, int], dilation: tuple[int, int]
) -> Window:
    """Check the target's height and width against the window and find the padding before."""
    strides = (site.option("StrideH"), site.option("StrideW"))
    if min(strides) < 1 or min(dilation) < 1 or min(kernel) < 1:
        site.fail(f"kernel {kernel}, stride {strides} and dilation {dilation} must be at least 1")
    same = site.option("Padding") == tflite.Padding.SAME
    if not same and site.option("Padding") != tflite.Padding.VALID:
        site.fail(f"padding {site.option('Padding')} is not known; allowed: SAME, VALID")
    before, padded = [], math.prod(source.shape) // (source.shape[1] * source.shape[2])
    for axis in (0, 1):
        size, out = source.shape[axis + 1], target.shape[axis + 1]
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        expected = -(-size // strides[axis]) if same else (size - reach) // strides[axis] + 1
        if out != expected:
            site.fail(
                f"output size {out} along axis {axis + 1}, but input, kernel and stride give {expected}"
            )
        total = max((out - 1) * strides[axis] + reach - size, 0)
        before.append(total // 2)
        padded *= size + total
    if padded > MAX_PADDED:
        site.fail(f"its padded input has {padded} values; {MAX_PADDED} are allowed")
    return Window(*kernel, *strides, *dilation, *before)


def _weight_scales(site: Site, weights: Tensor, axis: int) -> Quantization:
    quantization = site.quantization(weights)
    if quantization.per_channel:
        if quantization.axis != axis:
            site.fail(f"{describe(weights)} is quantized along axis {quantization.axis}; it must be {axis}")
        if len(quantization.scale) != weights.shape[axis]:
            site.fail(f"{len(quantization.scale)} scales for {weights.shape[axis]} output channels")
    return quantization


def _check_bias(site: Site, channels: int, *dtypes: str) -> Tensor | None:
    bias = site.inputs[2] if len(site.inputs) > 2 else None
    if bias is not None:
        values = site.constant(2, *dtypes)
        if int(np.prod(bias.shape)) != channels:
            site.fail(f"{describe(bias)} has shape {bias.shape}, but there are {channels} output channels")
        if values.size and max(-int(values.min()), int(values.max())) > MAX_WIDE_BIAS:
            site.fail(f"{describe(bias)} goes up to {np.abs(values).max()}; 2**46 is allowed")
    return bias


def _bias_and_rounding(site: Site, channels: int) -> tuple[Tensor | None, str]:
    """The bias and how its sums are requantized.

    int16 activations have int64 biases and sums and the reduced multiplier; only CONV_2D with an int32
    bias has sums of 32 bits and rounds twice. Source: TFLM ``conv.cc``.
    """
    if site.dtype == "int8":
        return _check_bias(site, channels, "int32"), "double"
    if site.summary.kind != "CONV_2D":
        return _check_bias(site, channels, "int64"), "reduced"
    bias = _check_bias(site, channels, "int32", "int64")
    return bias, "double" if bias is not None and bias.dtype.name == "int32" else "reduced"


def _convolution(site: Site, depthwise: bool) -> Convolution:
    site.arity(2, 3)
    source, weights = site.input(0), site.input(1)
    input_scale, input_zero_point = site.activation_tensor(source)
    output_scale, output_zero_point = site.activation_tensor(site.output)
    site.constant(1, "int8")
    for tensor in (source, weights, site.output):
        site.require_rank(tensor, 4)
    axis = 3 if depthwise else 0
    scales = _weight_scales(site, weights, axis)
    if np.any(scales.zero_point):
        site.fail("the weights have a zero point; int8 convolution weights are symmetric")
    dilation = (site.option("DilationHFactor"), site.option("DilationWFactor"))
    window = _window(site, source, site.output, (weights.shape[1], weights.shape[2]), dilation)
    channels, depth = weights.shape[axis], source.shape[3]
    if site.output.shape[3] != channels or site.output.shape[0] != source.shape[0]:
        site.fail(
            f"output shape {site.output.shape} does not fit input {source.shape} and {channels} channels"
        )
    multiplier = 0
    if depthwise:
        multiplier = channels // depth
        if weights.shape[0] != 1 or multiplier * depth != channels:
            site.fail(f"weights {weights.shape} do not fit {depth} input channels")
    elif depth % weights.shape[3] or channels % (depth // weights.shape[3]):
        site.fail(f"weights {weights.shape} do not fit {depth} input channels")
    _, rounding = _bias_and_rounding(site, channels)
    real = float(input_scale) * scales.scale.astype(np.float64) / float(output_scale)
    requantize = site.requantize(real, rounding)
    return Convolution(
        window, input_zero_point, output_zero_point, requantize, *site.clamp(), depth_multiplier=multiplier
    )


def _transposed_convolution(site: Site) -> TransposedConvolution:
    """Site inputs: activation, weights, bias. The padding is that of the convolution it transposes.

    Source: TFLM ``transpose_conv.cc``.
    """
    site.arity(2, 3)
    source, weights = site.input(0), site.input(1)
    site.require_dtype(source, "int8")
    input_scale, input_zero_point = site.activation_tensor(source)
    output_scale, output_zero_point = site.activation_tensor(site.output)
    site.constant(1, "int8")
    for tensor in (source, weights, site.output):
        site.require_rank(tensor, 4)
    scales = _weight_scales(site, weights, 0)
    if np.any(scales.zero_point):
        site.fail("the weights have a zero point; int8 convolution weights are symmetric")
    if site.clamp() != site.limits:  # calibrated, the output's range ends where the activation does
        site.fail(
            "its fused activation cuts into the output's range, which is not supported here; quantize again, "
            "so that the range ends where the activation does"
        )
    window = _window(site, site.output, source, (weights.shape[1], weights.shape[2]), (1, 1))
    channels, depth = weights.shape[0], weights.shape[3]
    if (source.shape[0], source.shape[3], channels) != (site.output.shape[0], depth, site.output.shape[3]):
        site.fail(f"weights {weights.shape} do not lead from {source.shape} to {site.output.shape}")
    _check_bias(site, channels, "int32")
    real = float(input_scale) * scales.scale.astype(np.float64) / float(output_scale)
    return TransposedConvolution(
        window, input_zero_point, output_zero_point, site.requantize(real), *site.limits
    )


def _batch_matmul(site: Site) -> BatchMatMul:
    site.arity(2)
    scale1, zero1 = site.activation_tensor(site.input(0))
    scale2, zero2 = site.activation_tensor(site.input(1))
    output_scale, output_zero_point = site.activation_tensor(site.output)
    swaps = bool(site.option("AdjX")), bool(site.option("AdjY"))
    shapes = []
    for tensor, swapped in zip((site.input(0), site.input(1)), swaps, strict=True):
        site.require_rank(tensor, 2, 3, 4, 5)
        *batch, rows, columns = tensor.shape
        shapes.append((*batch, columns, rows) if swapped else tensor.shape)
    a, b = shapes
    try:
        batch = list(np.broadcast_shapes(a[:-2], b[:-2]))
    except ValueError:
        site.fail(f"the axes before the last two of {a} and {b} do not broadcast")
    if a[-1] != b[-2]:
        site.fail(f"matrices of {a[-2:]} and {b[-2:]} cannot be multiplied")
    site.require_shape(site.output, [*batch, a[-2], b[-1]])
    real = float(scale1) * float(scale2) / float(output_scale)
    rounding = "double" if site.dtype == "int8" else "reduced"
    return BatchMatMul(zero1, zero2, output_zero_point, site.requantize(real, rounding), *swaps)


def _fully_connected(site: Site) -> FullyConnected:
    site.arity(2, 3)
    source, weights = site.input(0), site.input(1)
    input_scale, input_zero_point = site.activation_tensor(source)
    output_scale, output_zero_point = site.activation_tensor(site.output)
    site.constant(1, "int8")
    site.require_rank(weights, 2)
    if site.option("WeightsFormat") != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
        site.fail("shuffled weights are not supported; allowed: DEFAULT")
    outputs, depth = weights.shape
    batches = int(np.prod(source.shape)) // depth
    if batches * depth != int(np.prod(source.shape)):
        site.fail(f"input {source.shape} is no multiple of the {depth} weights of an output")
    shape = site.output.shape
    if not shape or shape[-1] != outputs or int(np.prod(shape)) != batches * outputs:
        site.fail(f"output shape {shape} does not hold {batches} x {outputs} values")
    scales = _weight_scales(site, weights, 0)
    bias, rounding = _bias_and_rounding(site, outputs)
    if site.dtype == "int16" and np.any(scales.zero_point):
        site.fail("the weights have a zero point; next to int16 activations they are symmetric")
    if scales.per_channel and np.any(scales.zero_point):
        site.fail("weights quantized per channel have a zero point; they must be symmetric")
    if not scales.per_channel and bias is not None and bias.quantization is not None:
        apart = float(input_scale) * float(scales.scale[0]) - float(bias.quantization.scale[0])
        if abs(apart) / float(output_scale) > 0.02:
            site.fail("the bias scale is not the product of input and weight scale")
    real = float(input_scale) * scales.scale.astype(np.float64) / float(output_scale)
    return FullyConnected(
        input_zero_point,
        int(scales.zero_point[0]),
        output_zero_point,
        site.requantize(real, rounding),
        *site.clamp(),
    )


def _add(site: Site) -> Add:
    site.arity(2)
    scale1, zero1 = site.activation_tensor(site.input(0))
    scale2, zero2 = site.activation_tensor(site.input(1))
    output_scale, output_zero_point = site.activation_tensor(site.output)
    _require_broadcast(site)
    left_shift = ADD_LEFT_SHIFT[site.dtype]
    twice = 2 * float(max(scale1, scale2))
    real = twice / ((1 << left_shift) * float(output_scale))
    if not real < 1:
        limit = f"2**{left_shift - 1}"
        site.fail(
            f"an input scale is {real:g} * {limit} times the output scale; less than {limit} is allowed"
        )
    return Add(
        left_shift,
        zero1,
        zero2,
        output_zero_point,
        site.requantize(float(scale1) / twice),
        site.requantize(float(scale2) / twice),
        site.requantize(real),
        *site.clamp(),
    )


def _extremum(site: Site) -> Extremum:
    site.arity(2)
    _require_broadcast(site)
    _require_one_scale(site, (site.input(0), site.input(1)))
    return Extremum()


def _require_one_scale(site: Site, sources: Sequence[Tensor]) -> None:
    """Values are compared or moved as they are."""
    pair = site.activation_tensor(site.output)
    for source in sources:
        if site.activation_tensor(source) != pair:
            site.fail(f"{describe(source)} has another scale or zero point than the output")


def _prelu(site: Site) -> Prelu:
    site.arity(2)
    for tensor in (site.input(0), site.output):
        site.require_dtype(tensor, "int8")
    input_scale, input_zero_point = site.activation_tensor(site.input(0))
    slope_scale, slope_zero_point = site.activation_tensor(site.input(1))
    output_scale, output_zero_point = site.activation_tensor(site.output)
    _require_broadcast(site)
    site.require_shape(site.output, site.input(0).shape)
    return Prelu(
        input_zero_point,
        slope_zero_point,
        output_zero_point,
        site.requantize(float(input_scale) / float(output_scale)),
        site.requantize(float(input_scale) * float(slope_scale) / float(output_scale)),
    )


def _require_broadcast(site: Site) -> None:
    """The output's shape must be that of the two inputs together."""
    try:
        shape = np.broadcast_shapes(site.input(0).shape, site.input(1).shape)
    except ValueError:
        site.fail(f"shapes {site.input(0).shape} and {site.input(1).shape} do not broadcast")
    site.require_shape(site.output, shape)


def _mul(site: Site) -> Mul:
    site.arity(2)
    scale1, zero1 = site.activation_tensor(site.input(0))
    scale2, zero2 = site.activation_tensor(site.input(1))
    output_scale, output_zero_point = site.activation_tensor(site.output)
    _require_broadcast(site)
    real = float(scale1) * float(scale2) / float(output_scale)
    return Mul(zero1, zero2, output_zero_point, site.requantize(real), *site.clamp())


def _pool(site: Site) -> Pool:
    site.arity(1)
    source = site.input(0)
    input_scale, input_zero_point = site.activation_tensor(source)
    output_scale, output_zero_point = site.activation_tensor(site.output)
    site.require_rank(source, 4)
    site.require_rank(site.output, 4)
    if abs(float(input_scale) - float(output_scale)) > 1e-6 or input_zero_point != output_zero_point:
        site.fail("pooling cannot change scale or zero point")
    kernel = (site.option("FilterHeight"), site.option("FilterWidth"))
    window = _window(site, source, site.output, kernel, (1, 1))
    if (site.output.shape[0], site.output.shape[3]) != (source.shape[0], source.shape[3]):
        site.fail(f"output shape {site.output.shape} does not fit input {source.shape}")
    return Pool(window, *site.clamp())


def _mean(site: Site) -> Mean:
    site.arity(2)
    source = site.input(0)
    input_scale, input_zero_point = site.activation_tensor(source)
    output_scale, output_zero_point = site.activation_tensor(site.output)
    axes, rule = _reduced_axes(site), site.requantize(float(input_scale) / float(output_scale))
    if site.summary.kind == "MEAN":
        rule = mean_requantize(rule, math.prod(source.shape[a] for a in axes))
    return Mean(axes, input_zero_point, output_zero_point, rule)


def _reduce_max(site: Site) -> ReduceMax:
    site.arity(2)
    site.require_dtype(site.input(0), "int8")
    _require_one_scale(site, (site.input(0), site.output))
    return ReduceMax(_reduced_axes(site))


def _reduced_axes(site: Site) -> tuple[int, ...]:
    """The axes that a reduction takes together, in order."""
    shape = site.input(0).shape
    rank = len(shape)
    given = [int(a) for a in site.constant(1, "int32").reshape(-1)]
    if any(not -rank <= a < rank for a in given):
        site.fail(f"axes {given} lie outside the {rank} dimensions of its input")
    axes = tuple(sorted({a % rank for a in given}))
    keep = bool(site.option("KeepDims"))
    site.require_shape(
        site.output, [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
    )
    return axes


def mean_requantize(requantize: Requantize, count: int) -> Requantize:
    """Fold ``1 / count`` into a multiplier: shifted up by ``floor(log2(count))``, divided, truncated.

    The shift is limited to 32 and so that the sum of shifts stays at -31 or above.
    Source: TFLM ``reference_ops::QuantizedMeanOrSum``.
    """
    multiplier, shift = int(requantize.multiplier[0]), int(requantize.shift[0])
    up = min(count.bit_length() - 1, 32, 31 + shift)
    return Requantize(np.asarray([(multiplier << up) // count]), np.asarray([shift - up]))


def _pad(site: Site) -> Pad:
    site.arity(2, 3)
    source = site.input(0)
    site.activation_tensor(source)
    _, output_zero_point = site.activation_tensor(site.output)
    paddings = site.constant(1, "int32", "int64")
    if paddings.shape != (len(source.shape), 2) or paddings.min(initial=0) < 0:
        site.fail(f"paddings {paddings.tolist()} do not fit input {source.shape}")
    pairs = tuple((int(before), int(after)) for before, after in paddings)
    expected = tuple(n + sum(pair) for n, pair in zip(source.shape, pairs, strict=True))
    site.require_shape(site.output, expected)
    value = output_zero_point
    if len(site.inputs) > 2:
        constant = site.constant(2, site.dtype)
        if constant.size != 1:
            site.fail(f"the fill value has {constant.size} elements; one is allowed")
        if site.per_tensor(site.input(2)) != site.per_tensor(site.output):
            site.fail("the fill value has another scale or zero point than the output")
        value = int(constant.reshape(-1)[0])
    return Pad(pairs, value)


def _reshape(site: Site) -> Reshape:
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the shape of the output says it all."""
    site.arity(1, 2)
    source = site.input(0)
    site.require_dtype(site.output, site.dtype)
    if int(np.prod(source.shape)) != int(np.prod(site.output.shape)):
        site.fail(
            f"{source.shape} cannot become {site.output.shape}; where a file leaves the batch size open, "
            f"convert the model again with batch size 1"
        )
    return Reshape()


def _view(site: Site, output: Tensor, offset: int, axes: Sequence[tuple[int, int]]) -> Slice | Reshape:
    """A view with ``(size, stride)`` along each of its axes; RESHAPE where it is the input as it lies."""
    _require_one_scale(site, (site.input(0), output))
    site.require_shape(output, [size for size, _ in axes])
    moved = [(size, stride) for size, stride in axes if size > 1]
    plain = row_major([size for size, _ in moved])
    whole = math.prod(output.shape) == math.prod(site.input(0).shape)
    if whole and tuple(stride for _, stride in moved) == plain:
        return Reshape()
    return Slice(offset, tuple(stride if size > 1 else 0 for size, stride in axes))


def _transpose(site: Site) -> Slice | Reshape:
    site.arity(2)
    shape = site.input(0).shape
    order = [int(axis) for axis in site.constant(1, "int32").reshape(-1)]
    if sorted(order) != list(range(len(shape))):
        site.fail(f"its permutation {order} does not fit the {len(shape)} dimensions of its input")
    strides = row_major(shape)
    return _view(site, site.output, 0, [(shape[axis], strides[axis]) for axis in order])


def _strided_slice(site: Site) -> Slice | Reshape:
    site.arity(4)
    shape, strides = site.input(0).shape, row_major(site.input(0).shape)
    bounds = [site.constant(position, "int32").reshape(-1).tolist() for position in (1, 2, 3)]
    if any(len(values) != len(shape) for values in bounds):
        site.fail(f"its bounds {bounds} do not fit the {len(shape)} dimensions of its input")
    for name in ("EllipsisMask", "NewAxisMask", "Offset"):
        if site.option(name):
            site.fail(f"{name} {site.option(name)} is not supported; 0 is")
    offset, axes = 0, []
    for axis, (begin, end, step) in enumerate(zip(*bounds, strict=True)):
        if step == 0:
            site.fail("a stride is 0")
        masks = {name: site.option(name) >> axis & 1 for name in ("BeginMask", "EndMask", "ShrinkAxisMask")}
        if masks["ShrinkAxisMask"]:
            if masks["BeginMask"] or not -shape[axis] <= begin < shape[axis]:
                site.fail(f"index {begin} lies outside axis {axis} of {shape}")
            offset += begin % shape[axis] * strides[axis]
            continue
        first, last = None if masks["BeginMask"] else begin, None if masks["EndMask"] else end
        chosen = range(shape[axis])[first:last:step]
        if not chosen:
            site.fail(f"takes nothing of axis {axis} of {shape}")
        offset += chosen[0] * strides[axis]
        axes.append((len(chosen), step * strides[axis]))
    return _view(site, site.output, offset, axes)


def _plain_slice(site: Site) -> Slice | Reshape:
    """SLICE: a size of -1 reaches to the end."""
    site.arity(3)
    shape, strides = site.input(0).shape, row_major(site.input(0).shape)
    begins, sizes = (site.constant(position, "int32").reshape(-1).tolist() for position in (1, 2))
    if len(begins) != len(shape) or len(sizes) != len(shape):
        site.fail(f"its bounds {begins} and {sizes} do not fit the {len(shape)} dimensions of its input")
    sizes = [n - begin if size == -1 else size for n, begin, size in zip(shape, begins, sizes, strict=True)]
    for n, begin, size in zip(shape, begins, sizes, strict=True):
        if begin < 0 or size < 1 or begin + size > n:
            site.fail(f"{sizes} elements from {begins} on do not lie within {shape}")
    offset = sum(begin * stride for begin, stride in zip(begins, strides, strict=True))
    return _view(site, site.output, offset, list(zip(sizes, strides, strict=True)))


def _axis(site: Site, value: int, rank: int) -> int:
    if not -rank <= value < rank:
        site.fail(f"axis {value} lies outside the {rank} dimensions of its input")
    return value % rank


def _split(site: Site) -> tuple[Slice | Reshape, ...]:
    """Site inputs: the activation, then the axis."""
    count = int(site.option("NumSplits"))
    site.arity(2, outputs=count)
    shape, strides = site.input(0).shape, row_major(site.input(0).shape)
    given = site.constant(1, "int32").reshape(-1)
    axis = _axis(site, int(given[0]), len(shape)) if given.size == 1 else site.fail("needs one axis")
    if count < 1 or shape[axis] % count:
        site.fail(f"axis {axis} of {shape} has no {count} equal parts")
    part = shape[axis] // count
    axes = [
        (part if i == axis else n, stride) for i, (n, stride) in enumerate(zip(shape, strides, strict=True))
    ]
    return tuple(_view(site, output, i * part * strides[axis], axes) for i, output in enumerate(site.outputs))


def _split_v(site: Site) -> tuple[Slice | Reshape, ...]:
    """Into parts of given sizes; one of them may be -1, the rest."""
    site.arity(3, outputs=int(site.option("NumSplits")))
    shape, strides = site.input(0).shape, row_major(site.input(0).shape)
    sizes = [int(size) for size in site.constant(1, "int32").reshape(-1)]
    given = site.constant(2, "int32").reshape(-1)
    axis = _axis(site, int(given[0]), len(shape)) if given.size == 1 else site.fail("needs one axis")
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    if len(sizes) != len(site.outputs) or min(sizes) < 1 or sum(sizes) != shape[axis]:
        site.fail(f"axis {axis} of {shape} has no parts of {sizes}")
    views, first = [], 0
    for size, output in zip(sizes, site.outputs, strict=True):
        axes = [
            (size if i == axis else n, stride)
            for i, (n, stride) in enumerate(zip(shape, strides, strict=True))
        ]
        views.append(_view(site, output, first * strides[axis], axes))
        first += size
    return tuple(views)


def _depth_to_space(site: Site) -> Slice:
    """``y[n, h * b + i, w * b + j, c] = x[n, h, w, (i * b + j) * channels + c]`` with block size ``b``."""
    block, (batch, height, width, depth) = _block(site, site.input(0))
    if depth % (block * block):
        site.fail(f"{depth} channels are no multiple of {block} * {block}")
    channels = depth // block**2
    site.require_shape(site.output, (batch, height * block, width * block, channels))
    row = block * channels
    return Slice(
        0,
        (width * depth, row, depth, channels, 1),
        (batch * height, block, width, block, channels),
    )


def _space_to_depth(site: Site) -> Slice:
    """``y[n, h, w, (i * b + j) * channels + c] = x[n, h * b + i, w * b + j, c]`` with block size ``b``."""
    block, (batch, height, width, channels) = _block(site, site.input(0))
    if height % block or width % block:
        site.fail(f"{height} x {width} is no multiple of {block}")
    site.require_shape(site.output, (batch, height // block, width // block, block**2 * channels))
    row = width * channels
    return Slice(
        0,
        (block * row, block * channels, row, channels, 1),
        (batch * height // block, width // block, block, block, channels),
    )


def _block(site: Site, source: Tensor) -> tuple[int, tuple[int, ...]]:
    """The block size, and the shape of the image."""
    site.arity(1)
    site.require_rank(source, 4)
    site.require_dtype(source, "int8")
    _require_one_scale(site, (source,))
    block = int(site.option("BlockSize"))
    return (block, source.shape) if block >= 1 else site.fail(f"block size {block}; from 1 on it is defined")


def _unpack(site: Site) -> tuple[Slice | Reshape, ...]:
    shape, strides = site.input(0).shape, row_major(site.input(0).shape)
    axis = _axis(site, site.option("Axis"), len(shape))
    site.arity(1, outputs=shape[axis])
    axes = [pair for i, pair in enumerate(zip(shape, strides, strict=True)) if i != axis]
    return tuple(_view(site, output, i * strides[axis], axes) for i, output in enumerate(site.outputs))


def _pack(site: Site) -> Concatenation:
    site.arity(max(1, site.option("ValuesCount")))
    sources = [site.input(i) for i in range(len(site.inputs))]
    _require_one_scale(site, sources)
    axis = _axis(site, site.option("Axis"), len(site.output.shape))
    shape = list(sources[0].shape)
    for source in sources:
        if source.shape != sources[0].shape:
            site.fail(f"{describe(source)} has shape {source.shape}, the first input {sources[0].shape}")
    site.require_shape(site.output, [*shape[:axis], len(sources), *shape[axis:]])
    return Concatenation(axis, *site.limits)


def _concatenation(site: Site) -> Concatenation:
    site.arity(1, len(site.inputs))
    sources = [site.input(i) for i in range(len(site.inputs))]
    _require_one_scale(site, sources)
    rank = len(site.output.shape)
    axis = site.option("Axis")
    if not -rank <= axis < rank:
        site.fail(f"axis {axis} lies outside the {rank} dimensions of its output")
    axis %= rank
    expected = list(sources[0].shape)
    for source in sources:
        site.require_rank(source, rank)
    expected[axis] = sum(source.shape[axis] for source in sources)
    for source in sources:
        if any(source.shape[i] != expected[i] for i in range(rank) if i != axis):
            site.fail(f"{describe(source)} of shape {source.shape} does not fit {tuple(expected)}")
    site.require_shape(site.output, expected)
    if site.option("FusedActivationFunction") != tflite.ActivationFunctionType.NONE:
        site.fail("a fused activation is not supported here; allowed: NONE")
    return Concatenation(axis, *site.limits)


def _resize(site: Site) -> Resize:
    site.arity(2)
    source = site.input(0)
    _require_one_scale(site, (source,))
    for tensor in (source, site.output):
        site.require_rank(tensor, 4)
    if max(*source.shape[1:3], *site.output.shape[1:3]) >= MAX_RESIZED:
        sizes = f"from {source.shape} to {site.output.shape}"
        site.fail(f"{sizes} is too large; heights and widths below {MAX_RESIZED} are allowed")
    size = tuple(int(n) for n in site.constant(1, "int32").reshape(-1))
    site.require_shape(site.output, (source.shape[0], *size, source.shape[3]))
    nearest = site.summary.kind == "RESIZE_NEAREST_NEIGHBOR"
    if not nearest:
        site.require_dtype(source, "int8")
    align, centers = bool(site.option("AlignCorners")), bool(site.option("HalfPixelCenters"))
    if align and centers and not nearest:
        site.fail("AlignCorners and HalfPixelCenters exclude each other")
    positions = _nearest if nearest else _between
    rows, columns = (positions(source.shape[i], site.output.shape[i], align, centers) for i in (1, 2))
    if rows[-1, 0] >= source.shape[1] or columns[-1, 0] >= source.shape[2]:
        site.fail(f"from {source.shape} to {site.output.shape}, its steps of 1/1024 lead beyond its input")
    return Resize(rows, columns)


def _nearest(size: int, out: int, align: bool, centers: bool) -> IntArray:
    """Source: TFLM ``reference/resize_nearest_neighbor.h``, in float32."""
    one = np.float32(1)
    scale = (size - 1) / (one * (out - 1)) if align and out > 1 else size / (one * out)
    at = (np.arange(out).astype(np.float32) + np.float32(0.5 if centers else 0)) * scale
    lower = np.minimum(round_half_away(at) if align else np.floor(at), size - 1)
    return np.stack([lower.astype(np.int64), np.zeros(out, np.int64)], axis=1)


def _between(size: int, out: int, align: bool, centers: bool) -> IntArray:
    """Source: TFLM ``ResizeBilinearInteger``, positions in steps of 1 / 1024."""
    scale = (1024 * size + out // 2) // out
    if align and out > 1:
        scale = (1024 * (size - 1) + (out - 1) // 2) // (out - 1)
    at = np.arange(out, dtype=np.int64) * scale + (scale // 2 - 512 if centers else 0)
    at = np.maximum(at, 0)  # before the first position both neighbours are that one
    lower, weight = at >> 10, at & 1023
    return np.stack([lower, np.where(lower >= size - 1, 0, weight)], axis=1)


def _softmax(site: Site) -> Softmax | SoftmaxInt16:
    site.arity(1)
    source = site.input(0)
    scale, _ = site.activation_tensor(source)
    site.require_shape(site.output, source.shape)
    if not source.shape:
        site.fail("a scalar has no axis to normalise")
    if site.dtype == "int16":
        _require_unit_scale(site)
        # TFLM divides by a step of the exponential's table
        return SoftmaxInt16(site.requantize(float(scale) * float(site.option("Beta")) / (10.0 / 65535.0)))
    site.require_dtype(site.output, "int8", "int16")
    values = -2 * site.limits[0]  # 256 or 65536
    if site.per_tensor(site.output) != (np.float32(1 / values), site.limits[0]):
        site.fail(f"the output must have scale 1/{values} and zero point {site.limits[0]}")
    real = float(site.option("Beta")) * float(scale) * (1 << (31 - SOFTMAX_INTEGER_BITS))
    if not real > 1:
        site.fail(f"beta * scale = {real / 2**26:g} is too small; more than 2**-26 is allowed")
    multiplier, shift = quantize_multiplier(min(real, 2.0**31 - 1))
    radius = ((1 << SOFTMAX_INTEGER_BITS) - 1) * 2 ** (31 - SOFTMAX_INTEGER_BITS) / (1 << int(shift))
    return Softmax(int(multiplier), int(shift), -math.floor(radius))


def _require_unit_scale(site: Site) -> None:
    """An int16 output of a function that stays below 1."""
    scale, _ = site.activation_tensor(site.output)
    if abs(float(scale) * 2**15 - 1) > 0.0005:
        site.fail("the output must have scale 1/32768")


def _sigmoid(site: Site) -> Table | SigmoidInt16:
    """LOGISTIC and TANH."""
    site.arity(1)
    site.require_shape(site.output, site.input(0).shape)
    scale, zero_point = site.activation_tensor(site.input(0))
    if site.dtype == "int16":
        _require_unit_scale(site)
        return _sigmoid_int16(site, float(scale))
    logistic = site.summary.kind == "LOGISTIC"
    steps, zero = (256, INT8_MIN) if logistic else (128, 0)
    if site.activation_tensor(site.output) != (np.float32(1 / steps), zero):
        site.fail(f"the output must have scale 1/{steps} and zero point {zero}")
    return _sigmoid_int8(site, float(scale), zero_point)


def _sigmoid_int8(site: Site, scale: float, zero_point: int) -> Table:
    """All 256 results. Sources: TFLM ``logistic_common.cc``, ``reference/integer_ops/{logistic,tanh}.h``."""
    rule = site.requantize(scale * (1 << (31 - SIGMOID_INTEGER_BITS)))
    if scale < 2.0**-28:
        site.fail(f"its input scale {scale:g} is below 2**-28")
    largest = ((1 << SIGMOID_INTEGER_BITS) - 1) * (1 << (31 - SIGMOID_INTEGER_BITS))
    radius = largest >> int(rule.shift[0])
    steps = np.arange(INT8_MIN, INT8_MAX + 1) - zero_point
    inside = np.clip(steps, -radius, radius)
    q4 = fixed_point.multiply_by_quantized_multiplier(inside, rule.multiplier[0], rule.shift[0])
    if site.summary.kind == "LOGISTIC":
        values = rounding_divide_by_pot(fixed_point.logistic(q4), 31 - 8) + INT8_MIN
    else:
        values = rounding_divide_by_pot(fixed_point.tanh(q4), 31 - 7)
    values = np.where(steps <= -radius, INT8_MIN, np.where(steps >= radius, INT8_MAX, values))
    return Table(np.clip(values, INT8_MIN, INT8_MAX))


def _sigmoid_int16(site: Site, scale: float) -> SigmoidInt16:
    """The input's scale in steps of the table, 1 / (3 * 4096).

    2**-12, for TANH also 2**-11, and what is nearly that count as exact. Source: TFLM
    ``logistic_common.cc``, ``tanh.cc`` and ``CheckedLog2``.
    """
    up = math.log2(scale) + 12
    if round(up) in ((0,) if site.summary.kind == "LOGISTIC" else (0, 1)) and abs(up - round(up)) < 1e-3:
        return SigmoidInt16(3 << round(up), 0)
    multiplier, shift = scale * 4096 * 3, 0
    while multiplier <= 32767 / 2 and shift <= 30:
        multiplier, shift = multiplier * 2, shift + 1
    if multiplier >= 32768:
        site.fail(f"its input scale {scale:g} is too large; less than 2.66 is allowed")
    if multiplier < 1:
        site.fail(f"its input scale {scale:g} is too small; 2**-44 is allowed")
    return SigmoidInt16(int(multiplier), shift)


def _int8_function(site: Site) -> tuple[tuple[np.float32, int], tuple[np.float32, int]]:
    """Scale and zero point of the input and of the output of a function of one int8 value."""
    site.arity(1)
    site.require_shape(site.output, site.input(0).shape)
    site.require_dtype(site.input(0), "int8")
    return site.activation_tensor(site.input(0)), site.activation_tensor(site.output)


def _leaky_relu(site: Site) -> Table:
    """Factors are products of float64. Source: TFLM ``leaky_relu_common.cc``, ``reference/leaky_relu.h``."""
    (input_scale, input_zero_point), (output_scale, output_zero_point) = _int8_function(site)
    alpha = np.float32(site.option("Alpha"))
    if not 0 <= alpha < np.inf:
        site.fail(f"alpha is {alpha:g}; a finite number from 0 on is allowed")
    factors = (
        float(input_scale) / float(output_scale),
        float(input_scale) * float(alpha) / float(output_scale),
    )
    steps = np.arange(INT8_MIN, INT8_MAX + 1) - input_zero_point
    identity, slope = (
        fixed_point.multiply_by_quantized_multiplier(steps, rule.multiplier[0], rule.shift[0])
        for rule in map(site.requantize, factors)
    )
    values = fixed_point.wrap_int32(np.where(steps >= 0, identity, slope) + output_zero_point)
    return Table(np.clip(values, INT8_MIN, INT8_MAX))


def _abs(site: Site) -> Table:
    """Source: TFLM ``elementwise.cc``, ``AbsEvalQuantized``."""
    (input_scale, input_zero_point), (output_scale, output_zero_point) = _int8_function(site)
    steps = np.abs(np.arange(INT8_MIN, INT8_MAX + 1) - input_zero_point)
    if input_scale != output_scale:
        rule = site.requantize(float(input_scale) / float(output_scale))
        steps = fixed_point.multiply_by_quantized_multiplier(steps, rule.multiplier[0], rule.shift[0])
    return Table(np.clip(fixed_point.wrap_int32(steps + output_zero_point), INT8_MIN, INT8_MAX))


def _hard_swish(site: Site) -> Table:
    """``x * min(max(x + 3, 0), 6) / 6`` in 16 bits. Source: TFLM ``hard_swish_common.cc``,
    ``reference/hard_swish.h``.
    """
    (input_scale, input_zero_point), (output_scale, output_zero_point) = _int8_function(site)
    with np.errstate(all="ignore"):
        fine = np.float32(1 / 128) * input_scale
        factors = fine / output_scale, fine / (np.float32(3) / np.float32(32768))
    output, reluish = map(site.requantize, factors)
    if not -15 <= output.shift[0] <= 0 or reluish.shift[0] < -15:
        site.fail(f"its scales, {input_scale:g} and {output_scale:g}, do not fit its 16-bit arithmetic")
    steps = (np.arange(INT8_MIN, INT8_MAX + 1) - input_zero_point) << 7
    values = fixed_point.hard_swish(
        steps, (output.multiplier[0], output.shift[0]), (reluish.multiplier[0], reluish.shift[0])
    )
    return Table(np.clip(values + output_zero_point, INT8_MIN, INT8_MAX))


def _rescale(
    site: Site, scales: tuple[np.float32, np.float32], zeros: tuple[int, int], low: int, high: int
) -> Rescale:
    requantize = site.requantize(float(scales[0]) / float(scales[1]))
    unity = requantize.multiplier[0] == 1 << 30 and requantize.shift[0] == 1
    return Rescale(*zeros, None if unity else requantize, low, high)


def _relu(site: Site) -> Rescale:
    site.arity(1)
    site.require_shape(site.output, site.input(0).shape)
    input_scale, input_zero_point = site.activation_tensor(site.input(0))
    output_scale, output_zero_point = site.activation_tensor(site.output)
    zeros = (input_zero_point, output_zero_point)
    return _rescale(site, (input_scale, output_scale), zeros, output_zero_point, site.limits[1])


def _relu6(site: Site) -> Rescale:
    """TFLM clamps between the input's 0 and 6 and copies, whatever the output's scale (see ``note``)."""
    site.arity(1)
    site.require_shape(site.output, site.input(0).shape)
    scale, zero_point = site.activation_tensor(site.input(0))
    site.activation_tensor(site.output)
    six = min(site.limits[1], zero_point + site.steps(6.0, scale))
    return Rescale(zero_point, zero_point, None, zero_point, six)


def note(site: Site) -> str:
    """What a user should know about an operator that runs, else empty."""
    kind, where = site.summary.kind, f"operator {site.summary.index} ({site.summary.kind})"
    if kind == "RELU6" and site.per_tensor(site.input(0)) != site.per_tensor(site.output):
        return (
            f"{where}: input and output have different scales; LiteRT rescales, TFLM's kernel does not, "
            f"and its integers are followed here: expect wrong results"
        )
    if kind == "DEPTHWISE_CONV_2D" and len(site.inputs) == 3 and site.inputs[2] is None:
        return f"{where}: its bias is given as absent (-1), which crashes TFLM"
    if kind == "SOFTMAX" and site.dtype == "int8" and site.output.shape[-1] >= TFLM_SOFTMAX_LIMIT:
        return f"{where}: TFLM aborts where the sum of exponentials reaches {TFLM_SOFTMAX_LIMIT}"
    return ""


# what TFLM's QUANTIZE can do, by the input's type
_QUANTIZE_TYPES = {
    "int8": ("int8", "uint8", "int16"),
    "uint8": ("int8",),
    "float32": ("int8", "int16"),
    "int16": ("int8", "int16"),
}


def _quantize(site: Site) -> Rescale | FloatEdge:
    site.arity(1)
    source = site.input(0)
    site.require_shape(site.output, source.shape)
    output_scale, output_zero_point = site.integer_tensor(site.output)
    site.require_dtype(source, *_QUANTIZE_TYPES)
    site.require_dtype(site.output, *_QUANTIZE_TYPES[source.dtype.name])
    if source.dtype.name == "float32":
        return FloatEdge(float(output_scale), output_zero_point)
    input_scale, input_zero_point = site.integer_tensor(source)
    info = np.iinfo(site.output.dtype.name)
    zeros = (input_zero_point, output_zero_point)
    return _rescale(site, (input_scale, output_scale), zeros, int(info.min), int(info.max))


def _dequantize(site: Site) -> FloatEdge:
    site.arity(1)
    site.require_shape(site.output, site.input(0).shape)
    site.require_dtype(site.output, "float32")
    site.require_dtype(site.input(0), "int8", "uint8", "int16")
    scale, zero_point = site.integer_tensor(site.input(0))
    return FloatEdge(float(scale), zero_point)


_RULES: dict[str, Callable[[Site], Params | tuple[Params, ...]]] = {
    "CONV_2D": lambda site: _convolution(site, depthwise=False),
    "DEPTHWISE_CONV_2D": lambda site: _convolution(site, depthwise=True),
    "TRANSPOSE_CONV": _transposed_convolution,
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _batch_matmul,
    "ADD": _add,
    "SUB": _add,
    "MUL": _mul,
    "MINIMUM": _extremum,
    "MAXIMUM": _extremum,
    "PRELU": _prelu,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "SUM": _mean,
    "REDUCE_MAX": _reduce_max,
    "PAD": _pad,
    "PADV2": _pad,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "TRANSPOSE": _transpose,
    "STRIDED_SLICE": _strided_slice,
    "SLICE": _plain_slice,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _space_to_depth,
    "UNPACK": _unpack,
    "PACK": _pack,
    "CONCATENATION": _concatenation,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "RESIZE_BILINEAR": _resize,
    "SOFTMAX": _softmax,
    "LOGISTIC": _sigmoid,
    "TANH": _sigmoid,
    "ABS": _abs,
    "HARD_SWISH": _hard_swish,
    "LEAKY_RELU": _leaky_relu,
    "RELU": _relu,
    "RELU6": _relu6,
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
}

SUPPORTED = tuple(_RULES)

# where the activation, and behind it what else decides the result, stand among an operator's inputs
_PLACES = {"SPLIT": (1, 0), "TRANSPOSE_CONV": (2, 1, 3)}


def activation_first(kind: str, inputs: Sequence[int]) -> tuple[int, ...]:
    """An operator's inputs with the activation in front, as ``Site`` and ``Operator`` have them."""
    places = _PLACES.get(kind, range(len(inputs)))
    return tuple(inputs[i] if i < len(inputs) else -1 for i in places)

"""Changes of scale, type and clamp: RELU, RELU6, QUANTIZE and DEQUANTIZE."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.graph.from_tflite.operator import TfliteOperator
from pytest_quantcheck.graph.model import FloatEdge, Rescale


def relu(op: TfliteOperator) -> Rescale:
    """RELU with a scale of its own."""
    op.arity(1)
    op.require_shape(op.output, op.input(0).shape)
    input_scale, input_zero_point = op.activation_tensor(op.input(0))
    output_scale, output_zero_point = op.activation_tensor(op.output)
    zeros = (input_zero_point, output_zero_point)
    return _rescale(op, (input_scale, output_scale), zeros, output_zero_point, op.limits[1])


def relu6(op: TfliteOperator) -> Rescale:
    """TFLM clamps between the input's 0 and 6 and copies, whatever the output's scale (see ``note``)."""
    op.arity(1)
    op.require_shape(op.output, op.input(0).shape)
    scale, zero_point = op.activation_tensor(op.input(0))
    op.activation_tensor(op.output)
    six = min(op.limits[1], zero_point + op.steps(6.0, scale))
    return Rescale(zero_point, zero_point, None, zero_point, six)


# what TFLM's QUANTIZE can do, by the input's type
_QUANTIZE_TYPES = {
    "int8": ("int8", "uint8", "int16"),
    "uint8": ("int8",),
    "float32": ("int8", "int16"),
    "int16": ("int8", "int16"),
}


def quantize(op: TfliteOperator) -> Rescale | FloatEdge:
    """QUANTIZE from float32 or between the integer types that TFLM has."""
    op.arity(1)
    source = op.input(0)
    op.require_shape(op.output, source.shape)
    output_scale, output_zero_point = op.integer_tensor(op.output)
    op.require_dtype(source, *_QUANTIZE_TYPES)
    op.require_dtype(op.output, *_QUANTIZE_TYPES[source.dtype.name])
    if source.dtype.name == "float32":
        return FloatEdge(float(output_scale), output_zero_point)
    input_scale, input_zero_point = op.integer_tensor(source)
    info = np.iinfo(op.output.dtype.name)
    zeros = (input_zero_point, output_zero_point)
    return _rescale(op, (input_scale, output_scale), zeros, int(info.min), int(info.max))


def dequantize(op: TfliteOperator) -> FloatEdge:
    """DEQUANTIZE to float32."""
    op.arity(1)
    op.require_shape(op.output, op.input(0).shape)
    op.require_dtype(op.output, "float32")
    op.require_dtype(op.input(0), "int8", "uint8", "int16")
    scale, zero_point = op.integer_tensor(op.input(0))
    return FloatEdge(float(scale), zero_point)


def _rescale(
    op: TfliteOperator, scales: tuple[np.float32, np.float32], zeros: tuple[int, int], low: int, high: int
) -> Rescale:
    requantize = op.requantize(float(scales[0]) / float(scales[1]))
    unity = requantize.multiplier[0] == 1 << 30 and requantize.shift[0] == 1
    return Rescale(*zeros, None if unity else requantize, low, high)

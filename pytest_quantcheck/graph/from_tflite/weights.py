"""Weights and biases of convolutions and matrix products."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.graph.from_tflite.operator import TfliteOperator, describe
from pytest_quantcheck.graph.model import Quantization, Tensor
from pytest_quantcheck.numerics.limits import MAX_WIDE_BIAS


def weight_scales(op: TfliteOperator, weights: Tensor, axis: int) -> Quantization:
    """The weights' scales: one, or one for each slice of ``axis``."""
    quantization = op.quantization(weights)
    if quantization.per_channel:
        if quantization.axis != axis:
            op.fail(f"{describe(weights)} is quantized along axis {quantization.axis}; it must be {axis}")
        if len(quantization.scale) != weights.shape[axis]:
            op.fail(f"{len(quantization.scale)} scales for {weights.shape[axis]} output channels")
    return quantization


def check_bias(op: TfliteOperator, channels: int, *dtypes: str) -> Tensor | None:
    """The bias, None where it is absent: a constant of one of ``dtypes`` with a value for each channel."""
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    if bias is not None:
        values = op.constant(2, *dtypes)
        if int(np.prod(bias.shape)) != channels:
            op.fail(f"{describe(bias)} has shape {bias.shape}, but there are {channels} output channels")
        if values.size and max(-int(values.min()), int(values.max())) > MAX_WIDE_BIAS:
            op.fail(f"{describe(bias)} goes up to {np.abs(values).max()}; 2**46 is allowed")
    return bias


def bias_and_rounding(op: TfliteOperator, channels: int) -> tuple[Tensor | None, str]:
    """The bias and how its sums are requantized.

    int16 activations have int64 biases and sums and the reduced multiplier; only CONV_2D with an int32
    bias has sums of 32 bits and rounds twice. Source: TFLM ``conv.cc``.
    """
    if op.dtype == "int8":
        return check_bias(op, channels, "int32"), "double"
    if op.summary.kind != "CONV_2D":
        return check_bias(op, channels, "int64"), "reduced"
    bias = check_bias(op, channels, "int32", "int64")
    return bias, "double" if bias is not None and bias.dtype.name == "int32" else "reduced"

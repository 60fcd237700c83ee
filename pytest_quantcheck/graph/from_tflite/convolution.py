"""CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.graph.from_tflite.operator import TfliteOperator
from pytest_quantcheck.graph.from_tflite.weights import bias_and_rounding, check_bias, weight_scales
from pytest_quantcheck.graph.from_tflite.windows import sliding_window
from pytest_quantcheck.graph.model import Convolution, TransposedConvolution
from pytest_quantcheck.numerics.limits import MAX_TFLM_WINDOW


def convolution(op: TfliteOperator, depthwise: bool) -> Convolution:
    """CONV_2D, grouped where its weights have fewer channels than the input, or DEPTHWISE_CONV_2D."""
    op.arity(2, 3)
    source, weights = op.input(0), op.input(1)
    input_scale, input_zero_point = op.activation_tensor(source)
    output_scale, output_zero_point = op.activation_tensor(op.output)
    op.constant(1, "int8")
    for tensor in (source, weights, op.output):
        op.require_rank(tensor, 4)
    axis = 3 if depthwise else 0
    scales = weight_scales(op, weights, axis)
    if np.any(scales.zero_point):
        op.fail("the weights have a zero point; int8 convolution weights are symmetric")
    dilation = (op.option("DilationHFactor"), op.option("DilationWFactor"))
    window = sliding_window(op, source, op.output, (weights.shape[1], weights.shape[2]), dilation)
    channels, depth = weights.shape[axis], source.shape[3]
    if op.output.shape[3] != channels or op.output.shape[0] != source.shape[0]:
        op.fail(f"output shape {op.output.shape} does not fit input {source.shape} and {channels} channels")
    multiplier = 0
    if depthwise:
        multiplier = channels // depth
        if weights.shape[0] != 1 or multiplier * depth != channels:
            op.fail(f"weights {weights.shape} do not fit {depth} input channels")
        if (told := op.option("DepthMultiplier")) != multiplier:
            op.fail(
                f"its DepthMultiplier is {told}, which TFLM uses, but its weights say {multiplier}; "
                "convert the model again"
            )
        if multiplier > MAX_TFLM_WINDOW:
            op.fail(f"depth multiplier {multiplier}; TFLM holds it in 16 bits: at most {MAX_TFLM_WINDOW}")
    elif depth % weights.shape[3] or channels % (depth // weights.shape[3]):
        op.fail(f"weights {weights.shape} do not fit {depth} input channels")
    _, rounding = bias_and_rounding(op, channels)
    real = float(input_scale) * scales.scale.astype(np.float64) / float(output_scale)
    requantize = op.requantize(real, rounding)
    return Convolution(
        window, input_zero_point, output_zero_point, requantize, *op.clamp(), depth_multiplier=multiplier
    )


def transposed_convolution(op: TfliteOperator) -> TransposedConvolution:
    """Inputs: activation, weights, bias. The padding is that of the convolution it transposes.

    Source: TFLM ``transpose_conv.cc``.
    """
    op.arity(2, 3)
    source, weights = op.input(0), op.input(1)
    op.require_dtype(source, "int8")
    input_scale, input_zero_point = op.activation_tensor(source)
    output_scale, output_zero_point = op.activation_tensor(op.output)
    op.constant(1, "int8")
    for tensor in (source, weights, op.output):
        op.require_rank(tensor, 4)
    scales = weight_scales(op, weights, 0)
    if np.any(scales.zero_point):
        op.fail("the weights have a zero point; int8 convolution weights are symmetric")
    if op.clamp() != op.limits:  # calibrated, the output's range ends where the activation does
        op.fail(
            "its fused activation cuts into the output's range, which is not supported here; quantize again, "
            "so that the range ends where the activation does"
        )
    window = sliding_window(op, op.output, source, (weights.shape[1], weights.shape[2]), (1, 1))
    channels, depth = weights.shape[0], weights.shape[3]
    if (source.shape[0], source.shape[3], channels) != (op.output.shape[0], depth, op.output.shape[3]):
        op.fail(f"weights {weights.shape} do not lead from {source.shape} to {op.output.shape}")
    check_bias(op, channels, "int32")
    real = float(input_scale) * scales.scale.astype(np.float64) / float(output_scale)
    return TransposedConvolution(window, input_zero_point, output_zero_point, op.requantize(real), *op.limits)

"""FULLY_CONNECTED and BATCH_MATMUL."""

from __future__ import annotations

import numpy as np
import tflite

from pytest_quantcheck.graph.from_tflite.operator import TfliteOperator
from pytest_quantcheck.graph.from_tflite.weights import bias_and_rounding, weight_scales
from pytest_quantcheck.graph.model import BatchMatMul, FullyConnected


def fully_connected(op: TfliteOperator) -> FullyConnected:
    """FULLY_CONNECTED; one weight scale, or one for each output."""
    op.arity(2, 3)
    source, weights = op.input(0), op.input(1)
    input_scale, input_zero_point = op.activation_tensor(source)
    output_scale, output_zero_point = op.activation_tensor(op.output)
    op.constant(1, "int8")
    op.require_rank(weights, 2)
    if op.option("WeightsFormat") != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
        op.fail("shuffled weights are not supported; allowed: DEFAULT")
    outputs, depth = weights.shape
    batches = int(np.prod(source.shape)) // depth
    if batches * depth != int(np.prod(source.shape)):
        op.fail(f"input {source.shape} is no multiple of the {depth} weights of an output")
    shape = op.output.shape
    if not shape or shape[-1] != outputs or int(np.prod(shape)) != batches * outputs:
        op.fail(f"output shape {shape} does not hold {batches} x {outputs} values")
    scales = weight_scales(op, weights, 0)
    bias, rounding = bias_and_rounding(op, outputs)
    if op.dtype == "int16" and np.any(scales.zero_point):
        op.fail("the weights have a zero point; next to int16 activations they are symmetric")
    if scales.per_channel and np.any(scales.zero_point):
        op.fail("weights quantized per channel have a zero point; they must be symmetric")
    if not scales.per_channel and bias is not None and bias.quantization is not None:
        apart = float(input_scale) * float(scales.scale[0]) - float(bias.quantization.scale[0])
        if abs(apart) / float(output_scale) > 0.02:
            op.fail("the bias scale is not the product of input and weight scale")
    real = float(input_scale) * scales.scale.astype(np.float64) / float(output_scale)
    return FullyConnected(
        input_zero_point,
        int(scales.zero_point[0]),
        output_zero_point,
        op.requantize(real, rounding),
        *op.clamp(),
    )


def batch_matmul(op: TfliteOperator) -> BatchMatMul:
    """BATCH_MATMUL; either side may be a constant."""
    op.arity(2)
    scale1, zero1 = op.activation_tensor(op.input(0))
    scale2, zero2 = op.activation_tensor(op.input(1))
    output_scale, output_zero_point = op.activation_tensor(op.output)
    swaps = bool(op.option("AdjX")), bool(op.option("AdjY"))
    shapes = []
    for tensor, swapped in zip((op.input(0), op.input(1)), swaps, strict=True):
        op.require_rank(tensor, 2, 3, 4)
        *batch, rows, columns = tensor.shape
        shapes.append((*batch, columns, rows) if swapped else tensor.shape)
    a, b = shapes
    try:
        batch = list(np.broadcast_shapes(a[:-2], b[:-2]))
    except ValueError:
        op.fail(f"the axes before the last two of {a} and {b} do not broadcast")
    if a[-1] != b[-2]:
        op.fail(f"matrices of {a[-2:]} and {b[-2:]} cannot be multiplied")
    op.require_shape(op.output, [*batch, a[-2], b[-1]])
    real = float(scale1) * float(scale2) / float(output_scale)
    rounding = "double" if op.dtype == "int8" else "reduced"
    return BatchMatMul(zero1, zero2, output_zero_point, op.requantize(real, rounding), *swaps)

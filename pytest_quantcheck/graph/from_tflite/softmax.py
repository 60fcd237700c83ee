"""SOFTMAX over the last axis."""

from __future__ import annotations

import math

import numpy as np

from pytest_quantcheck.graph.from_tflite.operator import TfliteOperator
from pytest_quantcheck.graph.model import Softmax, SoftmaxInt16
from pytest_quantcheck.numerics.fixed_point import quantize_multiplier
from pytest_quantcheck.numerics.limits import SOFTMAX_INTEGER_BITS


def softmax(op: TfliteOperator) -> Softmax | SoftmaxInt16:
    """SOFTMAX from int8 to int8 or int16, or of int16.

    Source: TFLM ``softmax_common.cc``.
    """
    op.arity(1)
    source = op.input(0)
    scale, _ = op.activation_tensor(source)
    op.require_shape(op.output, source.shape)
    if not source.shape:
        op.fail("a scalar has no axis to normalise")
    if op.dtype == "int16":
        op.require_unit_scale()
        # TFLM divides by a step of the exponential's table
        return SoftmaxInt16(op.requantize(float(scale) * float(op.option("Beta")) / (10.0 / 65535.0)))
    op.require_dtype(op.output, "int8", "int16")
    values = -2 * op.limits[0]  # 256 or 65536
    if op.per_tensor(op.output) != (np.float32(1 / values), op.limits[0]):
        op.fail(f"the output must have scale 1/{values} and zero point {op.limits[0]}")
    real = float(op.option("Beta")) * float(scale) * (1 << (31 - SOFTMAX_INTEGER_BITS))
    if not real > 1:
        op.fail(f"beta * scale = {real / 2**26:g} is too small; more than 2**-26 is allowed")
    multiplier, shift = quantize_multiplier(min(real, 2.0**31 - 1))
    radius = ((1 << SOFTMAX_INTEGER_BITS) - 1) * 2 ** (31 - SOFTMAX_INTEGER_BITS) / (1 << int(shift))
    return Softmax(int(multiplier), int(shift), -math.floor(radius))

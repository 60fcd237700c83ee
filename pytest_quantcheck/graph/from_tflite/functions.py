"""Functions of one value: LOGISTIC, TANH, LEAKY_RELU, ELU, ABS, RSQRT, HARD_SWISH; tables for int8."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pytest_quantcheck.graph.from_tflite.lookup import INT8_MAX, INT8_MIN, int8_function
from pytest_quantcheck.graph.from_tflite.operator import Step, TfliteOperator
from pytest_quantcheck.graph.model import Prelu, SigmoidInt16, Table
from pytest_quantcheck.numerics import fixed_point
from pytest_quantcheck.numerics.affine import round_half_away
from pytest_quantcheck.numerics.fixed_point import rounding_divide_by_pot

SIGMOID_INTEGER_BITS = 4
RSQRT_SHIFT = 20  # of the root of an integer, so that it is one itself
ELU_LIMIT = 2**24  # steps of the output: below, float32 holds each with its zero point


def sigmoid(op: TfliteOperator) -> Table | SigmoidInt16:
    """LOGISTIC and TANH."""
    op.arity(1)
    op.require_shape(op.output, op.input(0).shape)
    scale, zero_point = op.activation_tensor(op.input(0))
    if op.dtype == "int16":
        op.require_unit_scale()
        return _sigmoid_int16(op, float(scale))
    logistic = op.summary.kind == "LOGISTIC"
    steps, zero = (256, INT8_MIN) if logistic else (128, 0)
    if op.activation_tensor(op.output) != (np.float32(1 / steps), zero):
        op.fail(f"the output must have scale 1/{steps} and zero point {zero}")
    return _sigmoid_int8(op, float(scale), zero_point)


def _sigmoid_int8(op: TfliteOperator, scale: float, zero_point: int) -> Table:
    """All 256 results. Sources: TFLM ``logistic_common.cc``, ``reference/integer_ops/{logistic,tanh}.h``."""
    rule = op.requantize(scale * (1 << (31 - SIGMOID_INTEGER_BITS)))
    if scale < 2.0**-28:
        op.fail(f"its input scale {scale:g} is below 2**-28")
    largest = ((1 << SIGMOID_INTEGER_BITS) - 1) * (1 << (31 - SIGMOID_INTEGER_BITS))
    radius = largest >> int(rule.shift[0])
    steps = np.arange(INT8_MIN, INT8_MAX + 1) - zero_point
    inside = np.clip(steps, -radius, radius)
    q4 = fixed_point.multiply_by_quantized_multiplier(inside, rule.multiplier[0], rule.shift[0])
    if op.summary.kind == "LOGISTIC":
        values = rounding_divide_by_pot(fixed_point.logistic(q4), 31 - 8) + INT8_MIN
    else:
        values = rounding_divide_by_pot(fixed_point.tanh(q4), 31 - 7)
    values = np.where(steps <= -radius, INT8_MIN, np.where(steps >= radius, INT8_MAX, values))
    return Table(np.clip(values, INT8_MIN, INT8_MAX))


def _sigmoid_int16(op: TfliteOperator, scale: float) -> SigmoidInt16:
    """The input's scale in steps of the table, 1 / (3 * 4096).

    2**-12, for TANH also 2**-11, and what is nearly that count as exact. Source: TFLM
    ``logistic_common.cc``, ``tanh.cc`` and ``CheckedLog2``.
    """
    up = math.log2(scale) + 12
    if round(up) in ((0,) if op.summary.kind == "LOGISTIC" else (0, 1)) and abs(up - round(up)) < 1e-3:
        return SigmoidInt16(3 << round(up), 0)
    multiplier, shift = scale * 4096 * 3, 0
    while multiplier <= 32767 / 2 and shift <= 30:
        multiplier, shift = multiplier * 2, shift + 1
    if multiplier >= 32768:
        op.fail(f"its input scale {scale:g} is too large; less than 2.66 is allowed")
    if multiplier < 1:
        op.fail(f"its input scale {scale:g} is too small; 2**-44 is allowed")
    return SigmoidInt16(int(multiplier), shift)


def leaky_relu(op: TfliteOperator) -> Table | list[Step]:
    """Factors are products of float64. Source: TFLM ``leaky_relu_common.cc``, ``reference/leaky_relu.h``."""
    alpha = np.float32(op.option("Alpha"))
    if not 0 <= alpha < np.inf:
        op.fail(f"alpha is {alpha:g}; a finite number from 0 on is allowed")
    if op.dtype == "int16":
        return _two_slopes(op, 1, float(alpha))
    (input_scale, input_zero_point), (output_scale, output_zero_point) = int8_function(op)
    factors = (
        float(input_scale) / float(output_scale),
        float(input_scale) * float(alpha) / float(output_scale),
    )
    steps = np.arange(INT8_MIN, INT8_MAX + 1) - input_zero_point
    identity, slope = (
        fixed_point.multiply_by_quantized_multiplier(steps, rule.multiplier[0], rule.shift[0])
        for rule in map(op.requantize, factors)
    )
    values = fixed_point.wrap_int32(np.where(steps >= 0, identity, slope) + output_zero_point)
    return Table(np.clip(values, INT8_MIN, INT8_MAX))


def elu(op: TfliteOperator) -> Table:
    """``exp(x) - 1`` below zero, in float32 as the kernel computes it; ``exp`` is evaluated in float64 and
    rounded once. Source: TFLM ``elu.cc``.
    """
    (input_scale, input_zero_point), (output_scale, output_zero_point) = int8_function(op)
    one = np.float32(1)
    with np.errstate(all="ignore"):
        inverse = one / output_scale
    x = input_scale * (np.arange(INT8_MIN, INT8_MAX + 1) - input_zero_point).astype(np.float32)
    below = np.exp(np.minimum(x, 0).astype(np.float64)).astype(np.float32) - one
    steps = round_half_away(np.where(x < 0, below, x) * inverse)
    if not np.abs(steps).max() < ELU_LIMIT:
        op.fail(f"its output scale {output_scale:g} is too small for its input scale {input_scale:g}")
    return Table(np.clip(steps.astype(np.int64) + output_zero_point, INT8_MIN, INT8_MAX))


def _two_slopes(op: TfliteOperator, sign: int, alpha: float) -> list[Step]:
    """PRELU of int16 with a single slope, ``alpha`` times ``sign``, the integer that it multiplies by."""
    op.arity(1)
    op.require_shape(op.output, op.input(0).shape)
    (input_scale, _), (output_scale, _) = map(op.activation_tensor, (op.input(0), op.output))
    ratio = float(input_scale) / float(output_scale)
    factors = op.requantize(ratio), op.requantize(float(input_scale) * alpha / float(output_scale))
    slope = replace(op.between((1,), alpha, 0), data=np.asarray([sign], np.int16))
    return [Step(op.summary.kind, Prelu(0, 0, 0, *factors), (op.input(0), slope), op.output)]


def absolute(op: TfliteOperator) -> Table | list[Step]:
    """Source: TFLM ``elementwise.cc``, ``AbsEvalQuantized``."""
    if op.dtype == "int16":
        return _two_slopes(op, -1, 1.0)
    (input_scale, input_zero_point), (output_scale, output_zero_point) = int8_function(op)
    steps = np.abs(np.arange(INT8_MIN, INT8_MAX + 1) - input_zero_point)
    if input_scale != output_scale:
        rule = op.requantize(float(input_scale) / float(output_scale))
        steps = fixed_point.multiply_by_quantized_multiplier(steps, rule.multiplier[0], rule.shift[0])
    return Table(np.clip(fixed_point.wrap_int32(steps + output_zero_point), INT8_MIN, INT8_MAX))


def rsqrt(op: TfliteOperator) -> Table:
    """``1 / sqrt(x)``; of 0 the largest value. TFLM ends an inference that meets a value below 0, so the
    input's zero point must leave none. Source: TFLM ``elementwise.cc``, ``RsqrtEvalQuantized``.
    """
    (input_scale, input_zero_point), (output_scale, output_zero_point) = int8_function(op)
    if input_zero_point != INT8_MIN:
        op.fail(f"its input's zero point is {input_zero_point}; {INT8_MIN} is allowed: no value below 0")
    with np.errstate(all="ignore"):
        rule = op.requantize(np.float32(1.0 / float(np.sqrt(input_scale) * output_scale)))
    multiplier, shift = int(rule.multiplier[0]), int(rule.shift[0])
    if not RSQRT_SHIFT - 31 <= shift <= RSQRT_SHIFT:
        op.fail(f"its scales, {input_scale:g} and {output_scale:g}, do not fit its arithmetic")
    roots, shifts = fixed_point.reciprocal_square_root(np.arange(1, INT8_MAX - INT8_MIN + 1))
    fine = fixed_point.multiply_by_quantized_multiplier(np.ones_like(roots), roots, shifts + RSQRT_SHIFT)
    steps = fixed_point.multiply_by_quantized_multiplier(fine, multiplier, shift - RSQRT_SHIFT)
    values = fixed_point.wrap_int32(steps + output_zero_point)
    return Table(np.concatenate([[INT8_MAX], np.clip(values, INT8_MIN, INT8_MAX)]))


def hard_swish(op: TfliteOperator) -> Table:
    """``x * min(max(x + 3, 0), 6) / 6`` in 16 bits. Source: TFLM ``hard_swish_common.cc``,
    ``reference/hard_swish.h``.
    """
    (input_scale, input_zero_point), (output_scale, output_zero_point) = int8_function(op)
    with np.errstate(all="ignore"):
        fine = np.float32(1 / 128) * input_scale
        factors = fine / output_scale, fine / (np.float32(3) / np.float32(32768))
    output, reluish = map(op.requantize, factors)
    if not -15 <= output.shift[0] <= 0 or reluish.shift[0] < -15:
        op.fail(f"its scales, {input_scale:g} and {output_scale:g}, do not fit its 16-bit arithmetic")
    steps = (np.arange(INT8_MIN, INT8_MAX + 1) - input_zero_point) << 7
    values = fixed_point.hard_swish(
        steps, (output.multiplier[0], output.shift[0]), (reluish.multiplier[0], reluish.shift[0])
    )
    return Table(np.clip(values + output_zero_point, INT8_MIN, INT8_MAX))

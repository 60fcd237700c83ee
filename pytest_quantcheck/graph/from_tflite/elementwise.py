"""Operators of two inputs, element by element: sums, differences, products, extremes, PRELU."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.graph.from_tflite.operator import TfliteOperator
from pytest_quantcheck.graph.model import Add, Extremum, Mul, Prelu
from pytest_quantcheck.numerics.limits import ADD_LEFT_SHIFT, SQUARE_LEFT_SHIFT


def add(op: TfliteOperator) -> Add:
    """ADD and SUB: inputs on a common scale with 20 more bits, with 15 for int16."""
    op.arity(2)
    scale1, zero1 = op.activation_tensor(op.input(0))
    scale2, zero2 = op.activation_tensor(op.input(1))
    output_scale, output_zero_point = op.activation_tensor(op.output)
    op.require_broadcast()
    left_shift = ADD_LEFT_SHIFT[op.dtype]
    twice = 2 * float(max(scale1, scale2))
    real = twice / ((1 << left_shift) * float(output_scale))
    if not real < 1:
        limit = f"2**{left_shift - 1}"
        op.fail(f"an input scale is {real:g} * {limit} times the output scale; less than {limit} is allowed")
    return Add(
        left_shift,
        zero1,
        zero2,
        output_zero_point,
        op.requantize(float(scale1) / twice),
        op.requantize(float(scale2) / twice),
        op.requantize(real),
        *op.clamp(),
    )


def squared_difference(op: TfliteOperator) -> Add:
    """SQUARED_DIFFERENCE: the difference on a common scale with 7 more bits, with none for int16, so that its
    square fits 32 bits. Source: TFLM ``squared_difference.cc``.
    """
    op.arity(2)
    scale1, zero1 = op.activation_tensor(op.input(0))
    scale2, zero2 = op.activation_tensor(op.input(1))
    output_scale, output_zero_point = op.activation_tensor(op.output)
    op.require_broadcast()
    left_shift = SQUARE_LEFT_SHIFT[op.dtype]
    twice = 2 * float(max(scale1, scale2))
    fine = np.float32(1 << 2 * left_shift) * output_scale
    return Add(
        left_shift,
        zero1,
        zero2,
        output_zero_point,
        op.requantize(float(scale1) / twice),
        op.requantize(float(scale2) / twice),
        op.requantize(twice * twice / float(fine)),
        *op.limits,
    )


def mul(op: TfliteOperator) -> Mul:
    """MUL: one factor for the product."""
    op.arity(2)
    scale1, zero1 = op.activation_tensor(op.input(0))
    scale2, zero2 = op.activation_tensor(op.input(1))
    output_scale, output_zero_point = op.activation_tensor(op.output)
    op.require_broadcast()
    real = float(scale1) * float(scale2) / float(output_scale)
    return Mul(zero1, zero2, output_zero_point, op.requantize(real), *op.clamp())


def extremum(op: TfliteOperator) -> Extremum:
    """MINIMUM and MAXIMUM of values with one scale."""
    op.arity(2)
    op.require_broadcast()
    op.require_one_scale((op.input(0), op.input(1)))
    return Extremum()


def prelu(op: TfliteOperator) -> Prelu:
    """PRELU of int8: one factor for each side of zero."""
    op.arity(2)
    for tensor in (op.input(0), op.output):
        op.require_dtype(tensor, "int8")
    input_scale, input_zero_point = op.activation_tensor(op.input(0))
    slope_scale, slope_zero_point = op.activation_tensor(op.input(1))
    output_scale, output_zero_point = op.activation_tensor(op.output)
    op.require_broadcast()
    op.require_shape(op.output, op.input(0).shape)
    return Prelu(
        input_zero_point,
        slope_zero_point,
        output_zero_point,
        op.requantize(float(input_scale) / float(output_scale)),
        op.requantize(float(input_scale) * float(slope_scale) / float(output_scale)),
    )

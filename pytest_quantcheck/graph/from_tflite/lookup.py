"""Functions of one int8 value for which TFLM has no kernel: tables, as LiteRT's reference kernels make them.

Values are float32 as in LiteRT; functions are evaluated in float64 and rounded once, so that a table does not
depend on the machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pytest_quantcheck.graph.from_tflite.operator import TfliteOperator
from pytest_quantcheck.graph.model import Table
from pytest_quantcheck.numerics import fixed_point
from pytest_quantcheck.numerics.affine import round_half_away
from pytest_quantcheck.numerics.arrays import Array, Float32

INT8_MIN, INT8_MAX = -128, 127
EVERY = np.arange(INT8_MIN, INT8_MAX + 1)
_FAR = 1 << 24  # steps beyond every int8 and its zero point

Pair = tuple[np.float32, int]


def int8_function(op: TfliteOperator) -> tuple[Pair, Pair]:
    """Scale and zero point of the input and of the output of a function of one int8 value."""
    op.arity(1)
    op.require_shape(op.output, op.input(0).shape)
    op.require_dtype(op.input(0), "int8")
    return op.activation_tensor(op.input(0)), op.activation_tensor(op.output)


def gelu(op: TfliteOperator) -> Table:
    """``x * erfc(-x / sqrt(2)) / 2``, or with ``tanh`` where the file asks for the approximation.

    Sources: LiteRT ``internal/common.h`` (``LUTPopulate``) and ``reference/gelu.h``.
    """
    half, one = np.float32(0.5), np.float32(1)
    if op.option("Approximate"):

        def function(x: Float32) -> Float32:
            cubic = x + np.float32(0.044715) * x * x * x
            inner = np.float32(math.sqrt(2 / math.pi)) * cubic
            return half * x * (one + _in_float64(np.tanh, inner))
    else:

        def function(x: Float32) -> Float32:
            return half * x * _in_float64(np.vectorize(math.erfc), x * np.float32(-math.sqrt(0.5)))

    return _populated(op, function)


def exponential(op: TfliteOperator) -> Table:
    """``exp(x)``. Source: LiteRT ``exp.cc``."""
    return _populated(op, lambda x: _in_float64(np.exp, x))


def logarithm(op: TfliteOperator) -> Table:
    """``log(x)``; of 0 and below the least output. Source: LiteRT ``elementwise.cc``, ``LogLUTPrepare``."""
    _, (scale, zero_point) = int8_function(op)
    least = np.float32(INT8_MIN - zero_point) * scale
    positive = np.finfo(np.float32).tiny

    def function(x: Float32) -> Float32:
        return np.where(x > 0, _in_float64(np.log, np.maximum(x, positive)), least)

    return _populated(op, function)


def square_root(op: TfliteOperator) -> Table:
    """``sqrt(x)``, cut to whole steps. LiteRT ends an inference that meets a value below 0, so the input's
    zero point must leave none. Source: LiteRT ``elementwise.cc``, ``SqrtEvalQuantized``.
    """
    (input_scale, input_zero_point), (output_scale, output_zero_point) = int8_function(op)
    if input_zero_point != INT8_MIN:
        op.fail(f"its input's zero point is {input_zero_point}; {INT8_MIN} is allowed: no value below 0")
    with np.errstate(over="ignore"):
        steps = np.sqrt(input_scale * (EVERY - input_zero_point).astype(np.float32)) / output_scale
    return _table(np.trunc(steps), output_zero_point)


def clipped(op: TfliteOperator) -> Table:
    """RELU_N1_TO_1 and RELU_0_TO_1, with a scale of their own. Source: LiteRT ``activations.cc``,
    ``ReluPrepare`` and ``QuantizedReluX``.
    """
    (input_scale, input_zero_point), (output_scale, output_zero_point) = int8_function(op)
    rule = op.requantize(float(input_scale) / float(output_scale))
    steps = fixed_point.multiply_by_quantized_multiplier(
        EVERY - input_zero_point, rule.multiplier[0], rule.shift[0]
    )
    low, high = (0.0 if op.summary.kind == "RELU_0_TO_1" else -1.0), 1.0
    steps = np.clip(steps, op.steps(low, output_scale), op.steps(high, output_scale))
    return _table(steps, output_zero_point)


def _in_float64(function: Callable[[Array], Array], x: Float32) -> Float32:
    with np.errstate(over="ignore"):
        return function(x.astype(np.float64)).astype(np.float32)


def _populated(op: TfliteOperator, function: Callable[[Float32], Float32]) -> Table:
    """The results in float32 times the reciprocal of the output scale, rounded half away from zero."""
    (input_scale, input_zero_point), (output_scale, output_zero_point) = int8_function(op)
    x = input_scale * (EVERY - input_zero_point).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        steps = round_half_away(function(x) * (np.float32(1) / output_scale))
    if np.isnan(steps).any():
        op.fail(f"its output scale {output_scale:g} is too small for its input scale {input_scale:g}")
    return _table(steps, output_zero_point)


def _table(steps: Array, zero_point: int) -> Table:
    whole = np.clip(steps, -_FAR, _FAR).astype(np.int64) + zero_point
    return Table(np.clip(whole, INT8_MIN, INT8_MAX))

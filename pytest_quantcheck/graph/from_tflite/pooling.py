"""Many elements become one: pools over windows, MEAN, SUM and REDUCE_MAX over axes."""

from __future__ import annotations

import math

import numpy as np

from pytest_quantcheck.graph.from_tflite.operator import TfliteOperator
from pytest_quantcheck.graph.from_tflite.windows import sliding_window
from pytest_quantcheck.graph.model import Mean, Pool, ReduceMax, Requantize


def pool(op: TfliteOperator) -> Pool:
    """AVERAGE_POOL_2D and MAX_POOL_2D."""
    op.arity(1)
    source = op.input(0)
    input_scale, input_zero_point = op.activation_tensor(source)
    output_scale, output_zero_point = op.activation_tensor(op.output)
    op.require_rank(source, 4)
    op.require_rank(op.output, 4)
    if abs(float(input_scale) - float(output_scale)) > 1e-6 or input_zero_point != output_zero_point:
        op.fail("pooling cannot change scale or zero point")
    kernel = (op.option("FilterHeight"), op.option("FilterWidth"))
    window = sliding_window(op, source, op.output, kernel, (1, 1))
    if (op.output.shape[0], op.output.shape[3]) != (source.shape[0], source.shape[3]):
        op.fail(f"output shape {op.output.shape} does not fit input {source.shape}")
    return Pool(window, *op.clamp())


def mean(op: TfliteOperator) -> Mean:
    """MEAN and SUM."""
    op.arity(2)
    source = op.input(0)
    input_scale, input_zero_point = op.activation_tensor(source)
    output_scale, output_zero_point = op.activation_tensor(op.output)
    axes, rule = _reduced_axes(op), op.requantize(float(input_scale) / float(output_scale))
    if op.summary.kind == "MEAN":
        rule = mean_requantize(rule, math.prod(source.shape[a] for a in axes))
    return Mean(axes, input_zero_point, output_zero_point, rule)


def reduce_max(op: TfliteOperator) -> ReduceMax:
    """REDUCE_MAX of int8."""
    op.arity(2)
    op.require_dtype(op.input(0), "int8")
    op.require_one_scale((op.input(0), op.output))
    return ReduceMax(_reduced_axes(op))


def _reduced_axes(op: TfliteOperator) -> tuple[int, ...]:
    """The axes that a reduction takes together, in order."""
    shape = op.input(0).shape
    rank = len(shape)
    given = [int(a) for a in op.constant(1, "int32").reshape(-1)]
    if any(not -rank <= a < rank for a in given):
        op.fail(f"axes {given} lie outside the {rank} dimensions of its input")
    axes = tuple(sorted({a % rank for a in given}))
    keep = bool(op.option("KeepDims"))
    op.require_shape(op.output, [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes])
    return axes


def mean_requantize(requantize: Requantize, count: int) -> Requantize:
    """Fold ``1 / count`` into a multiplier: shifted up by ``floor(log2(count))``, divided, truncated.

    The shift is limited to 32 and so that the sum of shifts stays at -31 or above.
    Source: TFLM ``reference_ops::QuantizedMeanOrSum``.
    """
    multiplier, shift = int(requantize.multiplier[0]), int(requantize.shift[0])
    up = min(count.bit_length() - 1, 32, 31 + shift)
    return Requantize(np.asarray([(multiplier << up) // count]), np.asarray([shift - up]))

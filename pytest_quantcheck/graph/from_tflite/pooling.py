"""Many elements become one, or decide about one: pools over windows; sums, extremes and norms over axes."""

from __future__ import annotations

import math

import numpy as np
import tflite

from pytest_quantcheck.graph.from_tflite.movement import axis_of
from pytest_quantcheck.graph.from_tflite.operator import Step, TfliteOperator
from pytest_quantcheck.graph.from_tflite.windows import sliding_window
from pytest_quantcheck.graph.model import (
    ArgExtremum,
    L2Normalization,
    Mean,
    Pool,
    ReduceMax,
    Requantize,
    Slice,
    Table,
    Tensor,
    row_major,
)
from pytest_quantcheck.numerics.limits import L2_LIMIT


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


def reduce_max(op: TfliteOperator) -> list[Step]:
    """REDUCE_MAX of int8."""
    return _largest(op, op.input(0), op.output)


def reduce_min(op: TfliteOperator) -> list[Step]:
    """REDUCE_MIN of int8: the largest of the negated values, negated. With the zero point ``-1 - z`` the
    number ``-1 - x`` stands for what ``x`` stands for, negated, and every int8 has one.
    """
    scale, zero_point = op.activation_tensor(op.output)
    negated = Table(-1 - np.arange(-128, 128))
    source = op.between(op.input(0).shape, scale, -1 - zero_point)
    largest = op.between(op.output.shape, scale, -1 - zero_point)
    return [
        Step("NEG", negated, (op.input(0),), source),
        *_largest(op, source, largest),
        Step(op.summary.kind, negated, (largest,), op.output),
    ]


def _largest(op: TfliteOperator, source: Tensor, output: Tensor) -> list[Step]:
    """Axes that are not neighbours are brought together first."""
    op.arity(2)
    op.require_dtype(op.input(0), "int8")
    op.require_one_scale((op.input(0), op.output))
    axes, shape = _reduced_axes(op), source.shape
    moving = tuple(axis for axis in axes if shape[axis] > 1)
    between = {axis for axis in range(moving[0], moving[-1]) if shape[axis] > 1} if moving else set()
    if between <= set(moving):
        return [Step("REDUCE_MAX", ReduceMax(moving), (source,), output)]
    order = [*(i for i in range(len(shape)) if i not in axes), *axes]
    strides = row_major(shape)
    scale, zero_point = op.per_tensor(source)
    together = op.between([shape[i] for i in order], scale, zero_point)
    last = tuple(range(len(shape) - len(axes), len(shape)))
    return [
        Step("TRANSPOSE", Slice(0, tuple(strides[i] for i in order)), (source,), together),
        Step("REDUCE_MAX", ReduceMax(last), (together,), output),
    ]


def arg_extremum(op: TfliteOperator) -> ArgExtremum:
    """ARG_MAX and ARG_MIN of int8 to int32. Source: TFLM ``arg_min_max.cc``."""
    op.arity(2)
    op.require_dtype(op.input(0), "int8")
    if op.output.dtype.name == "int64":
        op.fail("its output is int64; take output_type=tf.int32, or leave it to the application")
    op.require_dtype(op.output, "int32")
    shape, given = op.input(0).shape, op.constant(1, "int32").reshape(-1)
    axis = axis_of(op, int(given[0]), len(shape)) if given.size == 1 else op.fail("needs one axis")
    op.require_shape(op.output, (*shape[:axis], *shape[axis + 1 :]))
    return ArgExtremum(axis)


def l2_normalization(op: TfliteOperator) -> L2Normalization:
    """L2_NORMALIZATION of int8. Source: TFLM ``l2norm.cc``."""
    op.arity(1)
    shape = op.input(0).shape
    op.require_dtype(op.input(0), "int8")
    op.require_shape(op.output, shape)
    if not shape or shape[-1] >= L2_LIMIT:
        op.fail(f"normalises {shape[-1:]} values; 1 to {L2_LIMIT - 1} are allowed")
    if op.option("FusedActivationFunction") != tflite.ActivationFunctionType.NONE:
        op.fail("a fused activation is not supported here; allowed: NONE")
    if op.activation_tensor(op.output) != (np.float32(1 / 128), 0):
        op.fail("the output must have scale 1/128 and zero point 0")
    return L2Normalization(op.activation_tensor(op.input(0))[1])


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

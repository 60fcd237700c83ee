"""Operators that make one of many values: pools, means, softmax with its sums."""

from __future__ import annotations

import math

from pytest_quantcheck.graph.model import (
    ArgExtremum,
    L2Normalization,
    Mean,
    Pool,
    ReduceMax,
    Softmax,
    SoftmaxInt16,
    Window,
)
from pytest_quantcheck.image import layout
from pytest_quantcheck.image.source_operator import KernelCall, SourceOperator
from pytest_quantcheck.numerics import limits
from pytest_quantcheck.numerics.tables import exp_table, reciprocal_table


def pool(source: SourceOperator, p: Pool) -> KernelCall:
    """AVERAGE_POOL_2D and MAX_POOL_2D."""
    source.require_dtypes("int8", "int16")
    _check_sum(source, source.input.dtype.name, p.window.kernel_h * p.window.kernel_w)
    params = layout.POOL.pack(*source.window(p.window), p.act_min, p.act_max)
    return KernelCall(source.op.kind, params, source.op.inputs[:1])


def mean(source: SourceOperator, p: Mean) -> KernelCall:
    """MEAN and SUM."""
    source.require_dtypes("int8", "int16")
    _check_sum(source, source.input.dtype.name, math.prod(source.input.shape[axis] for axis in p.axes))
    axes = sum(1 << axis for axis in p.axes)
    rule = source.one(p.requantize)
    params = layout.MEAN.pack(axes, p.input_zero_point, p.output_zero_point, *rule)
    return KernelCall("MEAN", params, source.op.inputs[:1])


def reduce_max(source: SourceOperator, p: ReduceMax) -> KernelCall:
    """A pool over (axes before, first reduced axis, other reduced axes, axes behind)."""
    source.require_dtypes("int8")
    shape = source.input.shape
    first, behind = (p.axes[0], p.axes[-1] + 1) if p.axes else (0, 0)
    if any(shape[i] > 1 for i in range(first, behind) if i not in p.axes):
        source.fail(f"reduces the axes {p.axes} of {shape}; on a board they must be adjacent")
    parts = shape[:first], shape[first : min(first + 1, behind)], shape[first + 1 : behind], shape[behind:]
    outer, height, width, inner = map(math.prod, parts)
    if max(height, width) > limits.MAX_WINDOW:
        source.fail(
            f"takes the largest of {max(height, width)} values along an axis; {limits.MAX_WINDOW} are allowed"
        )
    _check_sum(source, "int8", height * width)
    window = source.window(Window(height, width))
    params = layout.POOL.pack(*window, -128, 127)
    return KernelCall(
        "MAX_POOL_2D",
        params,
        source.op.inputs[:1],
        shapes=((outer, height, width, inner),),
        output_shape=(outer, 1, 1, inner),
    )


def arg_extremum(source: SourceOperator, p: ArgExtremum) -> KernelCall:
    """ARG_MAX and ARG_MIN, over the middle one of three axes."""
    source.require_dtypes("int8", tensors=[source.input])
    shape = source.input.shape
    outer, inner = math.prod(shape[: p.axis]), math.prod(shape[p.axis + 1 :])
    flags = layout.SMALLEST if source.op.kind == "ARG_MIN" else 0
    return KernelCall(
        "ARG_MAX",
        layout.ARG_MAX.pack(flags),
        source.op.inputs[:1],
        shapes=((outer, shape[p.axis], inner),),
        output_shape=(outer, inner),
    )


def l2_normalization(source: SourceOperator, p: L2Normalization) -> KernelCall:
    """L2_NORMALIZATION."""
    source.require_dtypes("int8")
    return KernelCall("L2_NORMALIZATION", layout.L2.pack(p.input_zero_point), source.op.inputs[:1])


def softmax(source: SourceOperator, p: Softmax) -> KernelCall:
    """SOFTMAX of int8."""
    source.require_dtypes("int8", tensors=[source.input])
    source.require_dtypes("int8", "int16")
    if source.input.shape[-1] >= limits.SOFTMAX_LIMIT:
        most = limits.SOFTMAX_LIMIT - 1
        source.fail(f"normalises {source.input.shape[-1]} values; at most {most} fit its 12-bit sum")
    params = layout.SOFTMAX.pack(p.input_multiplier, p.input_left_shift, p.diff_min)
    return KernelCall("SOFTMAX", params, source.op.inputs[:1])


def softmax_int16(source: SourceOperator, p: SoftmaxInt16) -> KernelCall:
    """SOFTMAX of int16."""
    source.require_dtypes("int16")
    values, limit = source.input.shape[-1], limits.INT16_SOFTMAX_LIMIT
    if values >= limit:
        source.fail(f"normalises {values} values; fewer than {limit} fit its 32-bit sum")
    tables = (exp_table(), reciprocal_table())
    offsets = [source.constants.share(table.astype("<i2").tobytes()) for table in tables]
    params = layout.WIDE_SOFTMAX.pack(*source.one(p.requantize), *offsets)
    return KernelCall("SOFTMAX_INT16", params, source.op.inputs[:1])


def _check_sum(source: SourceOperator, dtype: str, count: int) -> None:
    most = {"int8": limits.INT8_SUM_LIMIT, "int16": limits.INT16_SUM_LIMIT}[dtype]
    if count >= most:
        source.fail(f"takes {count} {dtype} values together; fewer than {most} are allowed")

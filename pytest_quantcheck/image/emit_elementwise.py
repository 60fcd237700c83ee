"""Operators that work element by element, on one input or two."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.model import (
    Add,
    Extremum,
    FloatEdge,
    Mul,
    Prelu,
    Rescale,
    SigmoidInt16,
    Table,
)
from pytest_quantcheck.image import layout
from pytest_quantcheck.image.source_operator import KernelCall, SourceOperator
from pytest_quantcheck.numerics.tables import sigmoid_table


def add(source: SourceOperator, p: Add) -> KernelCall:
    """ADD, SUB and SQUARED_DIFFERENCE; the first two with tables where they pay."""
    dtype = source.activation_type()
    params = layout.ADD.pack(
        p.left_shift,
        p.input1_zero_point,
        p.input2_zero_point,
        p.output_zero_point,
        *source.one(p.input1),
        *source.one(p.input2),
        *source.one(p.output),
        p.act_min,
        p.act_max,
    )
    equal = source.op.kind != "SQUARED_DIFFERENCE" and all(
        source.graph.tensors[t].shape == source.output.shape for t in source.op.inputs
    )
    fast = equal and -layout.FAST_SHIFT <= source.one(p.output)[1] < 0
    scratch = (
        layout.ADD_TABLE_BYTES
        if fast and dtype == "int8" and source.output.nbytes >= layout.ADD_TABLE_ELEMENTS
        else 0
    )
    return KernelCall(source.op.kind, params, source.activations, scratch)


def mul(source: SourceOperator, p: Mul) -> KernelCall:
    """MUL."""
    source.activation_type()
    zeros = (p.input1_zero_point, p.input2_zero_point, p.output_zero_point)
    params = layout.MUL.pack(*zeros, *source.one(p.requantize), p.act_min, p.act_max)
    return KernelCall("MUL", params, source.activations)


def extremum(source: SourceOperator, _: Extremum) -> KernelCall:
    """MINIMUM and MAXIMUM."""
    source.activation_type()
    return KernelCall(source.op.kind, b"", source.activations)


def prelu(source: SourceOperator, p: Prelu) -> KernelCall:
    """PRELU."""
    source.activation_type()
    zeros = (p.input_zero_point, p.slope_zero_point, p.output_zero_point)
    params = layout.PRELU.pack(*zeros, *source.one(p.identity), *source.one(p.slope))
    return KernelCall("PRELU", params, source.activations)


def rescale(source: SourceOperator, p: Rescale) -> KernelCall:
    """RESCALE, between 8-bit types TABLE."""
    source.require_dtypes("int8", "uint8", "int16")
    if source.input.dtype.itemsize == source.output.dtype.itemsize == 1:
        return table(source, p)
    rule = (0, -1) if p.requantize is None else source.one(p.requantize)
    multiply = 0 if p.requantize is None else layout.MULTIPLY
    params = layout.RESCALE.pack(
        p.input_zero_point, p.output_zero_point, *rule, multiply, p.act_min, p.act_max
    )
    return KernelCall("RESCALE", params, source.op.inputs[:1])


def table(source: SourceOperator, _: Table | Rescale) -> KernelCall:
    """A function of one byte: all its results, in the order of the bytes."""
    source.require_dtypes("int8", "uint8")
    every = np.arange(256, dtype=np.uint8).view(source.input.dtype)
    offset = source.constants.share(execute.apply(source.op, source.output.dtype, every).tobytes())
    return KernelCall("TABLE", layout.TABLE.pack(offset), source.op.inputs[:1])


def sigmoid_int16(source: SourceOperator, p: SigmoidInt16) -> KernelCall:
    """LOGISTIC and TANH of int16."""
    source.require_dtypes("int16")
    function = layout.TANH if source.op.kind == "TANH" else layout.LOGISTIC
    offset = source.constants.share(sigmoid_table().astype("<u2").tobytes())
    params = layout.SIGMOID.pack(p.multiplier, p.shift, function, offset)
    return KernelCall("SIGMOID_INT16", params, source.op.inputs[:1])


def float_edge(source: SourceOperator, p: FloatEdge) -> KernelCall:
    """QUANTIZE from float32 and DEQUANTIZE."""
    source.require_dtypes("int8", "uint8", "int16", "float32")
    half_even = source.op.kind == "QUANTIZE" and p.rounding == "half_even"
    scale = -p.scale if half_even else p.scale  # positive otherwise: its sign is free to tell
    return KernelCall(source.op.kind, layout.FLOAT_EDGE.pack(scale, p.zero_point), source.op.inputs[:1])

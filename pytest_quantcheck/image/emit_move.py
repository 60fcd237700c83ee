"""Operators that move elements to other positions."""

from __future__ import annotations

from pytest_quantcheck.graph.model import Concatenation, Pad, Reshape, Resize, Slice, row_major
from pytest_quantcheck.image import layout
from pytest_quantcheck.image.source_operator import KernelCall, SourceOperator


def pad(source: SourceOperator, p: Pad) -> KernelCall:
    """PAD."""
    source.require_dtypes("int8", "uint8", "int16")
    before = [pair[0] for pair in p.paddings]
    params = layout.PAD.pack(*before, *(0,) * (layout.MAX_RANK - len(before)), p.value)
    return KernelCall("PAD", params, source.op.inputs[:1])


def reshape(source: SourceOperator, _: Reshape) -> KernelCall:
    """RESHAPE, of which nothing is left but the other shape."""
    return KernelCall("RESHAPE", b"", source.op.inputs[:1])


def slice_(source: SourceOperator, p: Slice) -> KernelCall:
    """SLICE: whatever takes elements at regular distances."""
    source.require_dtypes("int8", "uint8", "int16")
    shape = p.shape or source.output.shape
    # an axis of one position may have any stride: with the output's it is copied together with its neighbours
    steps = zip(shape, p.strides, row_major(shape), strict=True)
    strides = [stride if size > 1 else plain for size, stride, plain in steps]
    params = layout.SLICE.pack(p.offset, *strides, *(0,) * (layout.MAX_RANK - len(shape)))
    return KernelCall("SLICE", params, source.op.inputs[:1], output_shape=p.shape)


def concatenation(source: SourceOperator, p: Concatenation) -> KernelCall:
    """Inputs of PACK are taken as if they had the new axis."""
    inputs = source.activations
    source.activation_type()
    if len(inputs) > layout.MAX_INPUTS:
        source.fail(f"has {len(inputs)} inputs; at most {layout.MAX_INPUTS} are allowed")
    params = layout.CONCATENATION.pack(p.axis, p.act_min, p.act_max)
    shapes = [source.graph.tensors[t].shape for t in inputs]
    if len(shapes[0]) < len(source.output.shape):
        shapes = [(*shape[: p.axis], 1, *shape[p.axis :]) for shape in shapes]
    return KernelCall("CONCATENATION", params, inputs, shapes=tuple(shapes))


def resize(source: SourceOperator, p: Resize) -> KernelCall:
    """RESIZE."""
    source.require_dtypes("int8", "int16")
    tables = (p.rows.astype("<u2"), p.columns.astype("<u2"))
    offsets = [source.constants.share(table.tobytes()) for table in tables]
    return KernelCall("RESIZE", layout.RESIZE.pack(*offsets), source.op.inputs[:1])

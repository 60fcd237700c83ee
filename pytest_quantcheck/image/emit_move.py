"""Operators that move elements to other positions."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    shapes = [_as_it_lies(tensor.shape) for tensor in (source.input, source.output)]
    return KernelCall("RESHAPE", b"", source.op.inputs[:1], shapes=(shapes[0],), output_shape=shapes[1])


def _as_it_lies(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that an image holds: with more axes than that one axis of all elements, which lie the same."""
    return shape if len(shape) <= layout.MAX_RANK else (math.prod(shape),)


def slice_(source: SourceOperator, p: Slice) -> KernelCall:
    """SLICE: whatever takes elements at regular distances."""
    source.require_dtypes("int8", "uint8", "int16")
    shape = p.shape or source.output.shape
    # an axis of one position may have any stride: with the output's it is copied together with its neighbours
    steps = zip(shape, p.strides, row_major(shape), strict=True)
    strides = [stride if size > 1 else plain for size, stride, plain in steps]
    if len(shape) > layout.MAX_RANK:
        shape, strides = _merged(shape, strides)
    if len(shape) > layout.MAX_RANK:
        source.fail(
            f"moves the elements of '{source.input.name}' along {len(shape)} axes; the engine can along "
            f"{layout.MAX_RANK}. Do it in two steps"
        )
    params = layout.SLICE.pack(p.offset, *strides, *(0,) * (layout.MAX_RANK - len(shape)))
    seen = _as_it_lies(source.input.shape)
    return KernelCall("SLICE", params, source.op.inputs[:1], shapes=(seen,), output_shape=shape)


def _merged(shape: Sequence[int], strides: Sequence[int]) -> tuple[tuple[int, ...], list[int]]:
    """The same elements in the same order along as few axes as possible."""
    sizes: list[int] = []
    steps: list[int] = []
    for size, stride in zip(shape, strides, strict=True):
        if size > 1 and sizes and steps[-1] == size * stride:
            sizes[-1], steps[-1] = sizes[-1] * size, stride
        elif size > 1:
            sizes.append(size)
            steps.append(stride)
    return tuple(sizes) or (1,), steps or [1]


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
    seen = p.shape or source.input.shape
    return KernelCall(
        "RESIZE",
        layout.RESIZE.pack(*offsets),
        source.op.inputs[:1],
        shapes=(seen,),
        output_shape=(seen[0], len(p.rows), len(p.columns), seen[3]),
    )

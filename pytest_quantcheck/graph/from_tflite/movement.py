"""Operators that move elements without computing: pad, reshape, transpose, cut, join."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tflite

from pytest_quantcheck.graph.from_tflite.operator import TfliteOperator, describe
from pytest_quantcheck.graph.model import Concatenation, Pad, Reshape, Slice, Tensor, row_major


def pad(op: TfliteOperator) -> Pad:
    """PAD with the zero point, PADV2 with a constant of the input's type and scale."""
    op.arity(2, 3)
    source = op.input(0)
    op.activation_tensor(source)
    _, output_zero_point = op.activation_tensor(op.output)
    paddings = op.constant(1, "int32", "int64")
    if paddings.shape != (len(source.shape), 2) or paddings.min(initial=0) < 0:
        op.fail(f"paddings {paddings.tolist()} do not fit input {source.shape}")
    pairs = tuple((int(before), int(after)) for before, after in paddings)
    expected = tuple(n + sum(pair) for n, pair in zip(source.shape, pairs, strict=True))
    op.require_shape(op.output, expected)
    value = output_zero_point
    if len(op.inputs) > 2:
        constant = op.constant(2, op.dtype)
        if constant.size != 1:
            op.fail(f"the fill value has {constant.size} elements; one is allowed")
        if op.per_tensor(op.input(2)) != op.per_tensor(op.output):
            op.fail("the fill value has another scale or zero point than the output")
        value = int(constant.reshape(-1)[0])
    return Pad(pairs, value)


def reshape(op: TfliteOperator) -> Reshape:
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the shape of the output says it all."""
    op.arity(1, 2)
    source = op.input(0)
    op.require_dtype(op.output, op.dtype)
    if int(np.prod(source.shape)) != int(np.prod(op.output.shape)):
        op.fail(
            f"{source.shape} cannot become {op.output.shape}; where a file leaves the batch size open, "
            f"convert the model again with batch size 1"
        )
    return Reshape()


def view(op: TfliteOperator, output: Tensor, offset: int, axes: Sequence[tuple[int, int]]) -> Slice | Reshape:
    """A view with ``(size, stride)`` along each of its axes; RESHAPE where it is the input as it lies."""
    op.require_one_scale((op.input(0), output))
    op.require_shape(output, [size for size, _ in axes])
    moved = [(size, stride) for size, stride in axes if size > 1]
    plain = row_major([size for size, _ in moved])
    whole = math.prod(output.shape) == math.prod(op.input(0).shape)
    if whole and tuple(stride for _, stride in moved) == plain:
        return Reshape()
    return Slice(offset, tuple(stride if size > 1 else 0 for size, stride in axes))


def transpose(op: TfliteOperator) -> Slice | Reshape:
    """TRANSPOSE by a constant permutation."""
    op.arity(2)
    shape = op.input(0).shape
    order = [int(axis) for axis in op.constant(1, "int32").reshape(-1)]
    if sorted(order) != list(range(len(shape))):
        op.fail(f"its permutation {order} does not fit the {len(shape)} dimensions of its input")
    strides = row_major(shape)
    return view(op, op.output, 0, [(shape[axis], strides[axis]) for axis in order])


def strided_slice(op: TfliteOperator) -> Slice | Reshape:
    """STRIDED_SLICE with constant bounds; of the masks, those of open ends and of single elements."""
    op.arity(4)
    shape, strides = op.input(0).shape, row_major(op.input(0).shape)
    bounds = [op.constant(position, "int32").reshape(-1).tolist() for position in (1, 2, 3)]
    if any(len(values) != len(shape) for values in bounds):
        op.fail(f"its bounds {bounds} do not fit the {len(shape)} dimensions of its input")
    for name in ("EllipsisMask", "NewAxisMask", "Offset"):
        if op.option(name):
            op.fail(f"{name} {op.option(name)} is not supported; 0 is")
    offset, axes = 0, []
    for axis, (begin, end, step) in enumerate(zip(*bounds, strict=True)):
        if step == 0:
            op.fail("a stride is 0")
        masks = {name: op.option(name) >> axis & 1 for name in ("BeginMask", "EndMask", "ShrinkAxisMask")}
        if masks["ShrinkAxisMask"]:
            if masks["BeginMask"] or not -shape[axis] <= begin < shape[axis]:
                op.fail(f"index {begin} lies outside axis {axis} of {shape}")
            offset += begin % shape[axis] * strides[axis]
            continue
        first, last = None if masks["BeginMask"] else begin, None if masks["EndMask"] else end
        chosen = range(shape[axis])[first:last:step]
        if not chosen:
            op.fail(f"takes nothing of axis {axis} of {shape}")
        offset += chosen[0] * strides[axis]
        axes.append((len(chosen), step * strides[axis]))
    return view(op, op.output, offset, axes)


def plain_slice(op: TfliteOperator) -> Slice | Reshape:
    """SLICE: a size of -1 reaches to the end."""
    op.arity(3)
    shape, strides = op.input(0).shape, row_major(op.input(0).shape)
    begins, sizes = (op.constant(position, "int32").reshape(-1).tolist() for position in (1, 2))
    if len(begins) != len(shape) or len(sizes) != len(shape):
        op.fail(f"its bounds {begins} and {sizes} do not fit the {len(shape)} dimensions of its input")
    sizes = [n - begin if size == -1 else size for n, begin, size in zip(shape, begins, sizes, strict=True)]
    for n, begin, size in zip(shape, begins, sizes, strict=True):
        if begin < 0 or size < 1 or begin + size > n:
            op.fail(f"{sizes} elements from {begins} on do not lie within {shape}")
    offset = sum(begin * stride for begin, stride in zip(begins, strides, strict=True))
    return view(op, op.output, offset, list(zip(sizes, strides, strict=True)))


def axis_of(op: TfliteOperator, value: int, rank: int) -> int:
    """An axis counted from the front, of ``rank`` dimensions of the input."""
    if not -rank <= value < rank:
        op.fail(f"axis {value} lies outside the {rank} dimensions of its input")
    return value % rank


def split(op: TfliteOperator) -> tuple[Slice | Reshape, ...]:
    """Inputs: the activation, then the axis."""
    count = int(op.option("NumSplits"))
    op.arity(2, outputs=count)
    shape, strides = op.input(0).shape, row_major(op.input(0).shape)
    given = op.constant(1, "int32").reshape(-1)
    axis = axis_of(op, int(given[0]), len(shape)) if given.size == 1 else op.fail("needs one axis")
    if count < 1 or shape[axis] % count:
        op.fail(f"axis {axis} of {shape} has no {count} equal parts")
    part = shape[axis] // count
    axes = [
        (part if i == axis else n, stride) for i, (n, stride) in enumerate(zip(shape, strides, strict=True))
    ]
    return tuple(view(op, output, i * part * strides[axis], axes) for i, output in enumerate(op.outputs))


def split_v(op: TfliteOperator) -> tuple[Slice | Reshape, ...]:
    """Into parts of given sizes; one of them may be -1, the rest."""
    op.arity(3, outputs=int(op.option("NumSplits")))
    shape, strides = op.input(0).shape, row_major(op.input(0).shape)
    sizes = [int(size) for size in op.constant(1, "int32").reshape(-1)]
    given = op.constant(2, "int32").reshape(-1)
    axis = axis_of(op, int(given[0]), len(shape)) if given.size == 1 else op.fail("needs one axis")
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    if len(sizes) != len(op.outputs) or min(sizes) < 1 or sum(sizes) != shape[axis]:
        op.fail(f"axis {axis} of {shape} has no parts of {sizes}")
    views, first = [], 0
    for size, output in zip(sizes, op.outputs, strict=True):
        axes = [
            (size if i == axis else n, stride)
            for i, (n, stride) in enumerate(zip(shape, strides, strict=True))
        ]
        views.append(view(op, output, first * strides[axis], axes))
        first += size
    return tuple(views)


def depth_to_space(op: TfliteOperator) -> Slice:
    """``y[n, h * b + i, w * b + j, c] = x[n, h, w, (i * b + j) * channels + c]`` with block size ``b``."""
    block, (batch, height, width, depth) = _block(op, op.input(0))
    if depth % (block * block):
        op.fail(f"{depth} channels are no multiple of {block} * {block}")
    channels = depth // block**2
    op.require_shape(op.output, (batch, height * block, width * block, channels))
    row = block * channels
    return Slice(
        0,
        (width * depth, row, depth, channels, 1),
        (batch * height, block, width, block, channels),
    )


def space_to_depth(op: TfliteOperator) -> Slice:
    """``y[n, h, w, (i * b + j) * channels + c] = x[n, h * b + i, w * b + j, c]`` with block size ``b``."""
    block, (batch, height, width, channels) = _block(op, op.input(0))
    if height % block or width % block:
        op.fail(f"{height} x {width} is no multiple of {block}")
    op.require_shape(op.output, (batch, height // block, width // block, block**2 * channels))
    row = width * channels
    return Slice(
        0,
        (block * row, block * channels, row, channels, 1),
        (batch * height // block, width // block, block, block, channels),
    )


def _block(op: TfliteOperator, source: Tensor) -> tuple[int, tuple[int, ...]]:
    """The block size, and the shape of the image."""
    op.arity(1)
    op.require_rank(source, 4)
    op.require_dtype(source, "int8")
    op.require_one_scale((source,))
    block = int(op.option("BlockSize"))
    return (block, source.shape) if block >= 1 else op.fail(f"block size {block}; from 1 on it is defined")


def unpack(op: TfliteOperator) -> tuple[Slice | Reshape, ...]:
    """UNPACK: a view for each position of the axis."""
    shape, strides = op.input(0).shape, row_major(op.input(0).shape)
    axis = axis_of(op, op.option("Axis"), len(shape))
    op.arity(1, outputs=shape[axis])
    if op.option("Num") != shape[axis]:  # TFLM goes by it
        op.fail(f"Num {op.option('Num')} is not the {shape[axis]} of axis {axis}")
    axes = [pair for i, pair in enumerate(zip(shape, strides, strict=True)) if i != axis]
    return tuple(view(op, output, i * strides[axis], axes) for i, output in enumerate(op.outputs))


def pack(op: TfliteOperator) -> Concatenation:
    """PACK of values with one scale."""
    op.arity(max(1, op.option("ValuesCount")))
    sources = [op.input(i) for i in range(len(op.inputs))]
    op.require_one_scale(sources)
    axis = axis_of(op, op.option("Axis"), len(op.output.shape))
    shape = list(sources[0].shape)
    for source in sources:
        if source.shape != sources[0].shape:
            op.fail(f"{describe(source)} has shape {source.shape}, the first input {sources[0].shape}")
    op.require_shape(op.output, [*shape[:axis], len(sources), *shape[axis:]])
    return Concatenation(axis, *op.limits)


def concatenation(op: TfliteOperator) -> Concatenation:
    """CONCATENATION of values with one scale."""
    op.arity(1, len(op.inputs))
    sources = [op.input(i) for i in range(len(op.inputs))]
    op.require_one_scale(sources)
    rank = len(op.output.shape)
    axis = op.option("Axis")
    if not -rank <= axis < rank:
        op.fail(f"axis {axis} lies outside the {rank} dimensions of its output")
    axis %= rank
    expected = list(sources[0].shape)
    for source in sources:
        op.require_rank(source, rank)
    expected[axis] = sum(source.shape[axis] for source in sources)
    for source in sources:
        if any(source.shape[i] != expected[i] for i in range(rank) if i != axis):
            op.fail(f"{describe(source)} of shape {source.shape} does not fit {tuple(expected)}")
    op.require_shape(op.output, expected)
    if op.option("FusedActivationFunction") != tflite.ActivationFunctionType.NONE:
        op.fail("a fused activation is not supported here; allowed: NONE")
    return Concatenation(axis, *op.limits)

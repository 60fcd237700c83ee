"""Elements at regular distances, some taken more than once, and elements anywhere: GATHER, TILE and more."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tflite

from pytest_quantcheck.graph.from_tflite.movement import axis_of, view
from pytest_quantcheck.graph.from_tflite.operator import Step, TfliteOperator
from pytest_quantcheck.graph.model import Reshape, Resize, Slice, row_major
from pytest_quantcheck.numerics.arrays import IntArray
from pytest_quantcheck.numerics.limits import MAX_WINDOW


def gather(op: TfliteOperator) -> Slice | Reshape | Resize:
    """GATHER of constant indices: at regular distances a view, else a table of positions.

    Source: TFLM ``gather.cc``, which reads no index below 0.
    """
    op.arity(2)
    op.require_dtype(op.input(0), "int8")
    shape, strides = op.input(0).shape, row_major(op.input(0).shape)
    if op.option("BatchDims"):
        op.fail(f"BatchDims {op.option('BatchDims')} is not supported; 0 is")
    axis = axis_of(op, op.option("Axis"), len(shape))
    indices = op.constant(1, "int32")
    chosen = indices.reshape(-1).astype(np.int64)
    if not chosen.size or chosen.min() < 0 or chosen.max() >= shape[axis]:
        op.fail(f"its indices {chosen.tolist()} do not lie within axis {axis} of {shape}")
    steps = np.diff(chosen)
    if indices.ndim > 1 or (steps.size and (steps != steps[0]).any()):
        op.require_shape(op.output, (*shape[:axis], *indices.shape, *shape[axis + 1 :]))
        return _taken(op, {axis: chosen})
    step = int(steps[0]) if steps.size else 1
    taken = [(len(chosen), step * strides[axis])] if indices.ndim else []
    axes = list(zip(shape, strides, strict=True))
    return view(op, op.output, int(chosen[0]) * strides[axis], [*axes[:axis], *taken, *axes[axis + 1 :]])


def gather_nd(op: TfliteOperator) -> Resize:
    """GATHER_ND of constant indices. Source: TFLM ``gather_nd.cc``."""
    op.arity(2)
    op.require_dtype(op.input(0), "int8")
    shape, indices = op.input(0).shape, op.constant(1, "int32")
    depth = indices.shape[-1] if indices.ndim else 0
    if not 1 <= depth <= len(shape):
        op.fail(f"its indices have {depth} columns; 1 to {len(shape)} are allowed for {shape}")
    rows = indices.reshape(-1, depth).astype(np.int64)
    if not rows.size or rows.min() < 0 or (rows >= shape[:depth]).any():
        op.fail(f"its indices {rows.tolist()} do not lie within {shape[:depth]}")
    op.require_shape(op.output, (*indices.shape[:-1], *shape[depth:]))
    op.require_one_scale((op.input(0),))
    places = np.asarray(np.ravel_multi_index(tuple(rows.T), shape[:depth]))
    return _resized(op, (1, math.prod(shape[:depth]), 1, math.prod(shape[depth:])), places, np.zeros(1, int))


def mirror_pad(op: TfliteOperator) -> Resize:
    """MIRROR_PAD: with (SYMMETRIC) or without (REFLECT) the elements at the edge. Source: TFLM
    ``mirror_pad.cc``.
    """
    op.arity(2)
    op.require_dtype(op.input(0), "int8")
    shape, paddings = op.input(0).shape, op.constant(1, "int32", "int64")
    edge = 1 if op.option("Mode") == tflite.MirrorPadMode.SYMMETRIC else 0
    if paddings.shape != (len(shape), 2) or paddings.min(initial=0) < 0:
        op.fail(f"paddings {paddings.tolist()} do not fit input {shape}")
    if (paddings > np.asarray(shape)[:, None] - 1 + edge).any():
        op.fail(f"paddings {paddings.tolist()} are more than there is to mirror of {shape}")
    positions = {}
    for axis, (before, behind) in enumerate(paddings.astype(np.int64).tolist()):
        inside = np.arange(shape[axis])
        mirrored = inside[::-1][1 - edge :][:behind], inside[1 - edge :][:before][::-1]
        if before or behind:
            positions[axis] = np.concatenate([mirrored[1], inside, mirrored[0]])
    op.require_shape(op.output, [len(positions.get(i, range(n))) for i, n in enumerate(shape)])
    return _taken(op, positions or {0: np.arange(shape[0])})


def _taken(op: TfliteOperator, positions: dict[int, IntArray]) -> Resize:
    """The elements at these positions of these axes, in one picture or in rows of it."""
    op.require_one_scale((op.input(0),))
    shape = op.input(0).shape
    first, last = min(positions), max(positions)
    taken = [positions.get(axis, np.arange(shape[axis])) for axis in range(first, last + 1)]
    outer, inner = math.prod(shape[:first]), math.prod(shape[last + 1 :])
    if len(taken) == 2:
        return _resized(op, (outer, *shape[first : last + 1], inner), *taken)
    between = shape[first : last + 1]
    places = np.ravel_multi_index(tuple(np.meshgrid(*taken, indexing="ij")), between).reshape(-1)
    return _resized(op, (outer, math.prod(between), 1, inner), places, np.zeros(1, np.int64))


def _resized(op: TfliteOperator, shape: tuple[int, ...], rows: IntArray, columns: IntArray) -> Resize:
    if max(shape[1], shape[2], len(rows), len(columns)) > MAX_WINDOW:
        op.fail(f"takes {len(rows)} of {shape[1]} positions; at most {MAX_WINDOW} are allowed")
    whole = [np.stack([each, np.zeros_like(each)], axis=1).astype(np.int64) for each in (rows, columns)]
    return Resize(whole[0], whole[1], shape)


def tile(op: TfliteOperator) -> Slice | Reshape | list[Step]:
    """TILE, in two steps where more than two axes repeat. Source: LiteRT ``tile.cc``."""
    op.arity(2)
    shape = op.input(0).shape
    times = [int(n) for n in op.constant(1, "int32", "int64").reshape(-1)]
    if len(times) != len(shape) or min(times, default=1) < 1:
        op.fail(f"its multiples {times} do not fit input {shape}")
    op.require_one_scale((op.input(0),))
    op.require_shape(op.output, [n * many for n, many in zip(shape, times, strict=True)])
    if sum(many > 1 for many in times) <= 2:
        return _repeated(shape, times) if max(times, default=1) > 1 else Reshape()
    half = [*times[:2], *(1 for _ in times[2:])], [1, 1, *times[2:]]
    middle = op.between(
        [n * many for n, many in zip(shape, half[0], strict=True)], *op.activation_tensor(op.output)
    )
    return [
        Step("TILE", _repeated(shape, half[0]), (op.input(0),), middle),
        Step("TILE", _repeated(middle.shape, half[1]), (middle,), op.output),
    ]


def _repeated(shape: Sequence[int], times: Sequence[int]) -> Slice:
    sizes, strides = [], []
    for n, many, stride in zip(shape, times, row_major(shape), strict=True):
        sizes += [many, n]
        strides += [0, stride]
    return Slice(0, tuple(strides), tuple(sizes))


def broadcast_to(op: TfliteOperator) -> Slice | Reshape:
    """BROADCAST_TO: along a repeated axis all elements are one. Source: TFLM ``broadcast_to.cc``."""
    op.arity(2)
    shape, wanted = op.input(0).shape, [int(n) for n in op.constant(1, "int32").reshape(-1)]
    full = (1,) * (len(wanted) - len(shape)) + shape
    if len(full) != len(wanted) or any(n not in (1, to) for n, to in zip(full, wanted, strict=True)):
        op.fail(f"{shape} does not broadcast to {wanted}")
    sources = zip(full, wanted, row_major(full), strict=True)
    return view(op, op.output, 0, [(to, stride if n > 1 else 0) for n, to, stride in sources])


def reverse(op: TfliteOperator) -> Slice | Reshape:
    """REVERSE_V2 along neighbouring axes. Source: TFLM ``reverse.cc``."""
    op.arity(2)
    shape, strides = op.input(0).shape, list(row_major(op.input(0).shape))
    given = [axis_of(op, int(axis), len(shape)) for axis in op.constant(1, "int32").reshape(-1)]
    if not given or len(set(given)) != len(given) or max(given) - min(given) >= len(given):
        op.fail(f"its axes are {given}; neighbouring ones are allowed, each of them once")
    offset = 0
    for axis in given:
        offset += (shape[axis] - 1) * strides[axis]
        strides[axis] = -strides[axis]
    return view(op, op.output, offset, list(zip(shape, strides, strict=True)))

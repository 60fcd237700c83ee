"""Elements at regular distances, some taken more than once: GATHER, BROADCAST_TO, REVERSE_V2."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.graph.from_tflite.movement import axis_of, view
from pytest_quantcheck.graph.from_tflite.operator import TfliteOperator
from pytest_quantcheck.graph.model import Reshape, Slice, row_major


def gather(op: TfliteOperator) -> Slice | Reshape:
    """GATHER of one position, or of several at regular distances.

    Source: TFLM ``gather.cc``, which reads no index below 0.
    """
    op.arity(2)
    op.require_dtype(op.input(0), "int8")
    shape, strides = op.input(0).shape, row_major(op.input(0).shape)
    if op.option("BatchDims"):
        op.fail(f"BatchDims {op.option('BatchDims')} is not supported; 0 is")
    axis = axis_of(op, op.option("Axis"), len(shape))
    indices = op.constant(1, "int32")
    if indices.ndim > 1:
        op.fail(f"its indices have {indices.ndim} dimensions; at most 1 is allowed")
    chosen = indices.reshape(-1).astype(np.int64)
    if not chosen.size or chosen.min() < 0 or chosen.max() >= shape[axis]:
        op.fail(f"its indices {chosen.tolist()} do not lie within axis {axis} of {shape}")
    steps = np.diff(chosen)
    if steps.size and (steps != steps[0]).any():
        op.fail(
            f"its indices {chosen.tolist()} are not evenly spaced; cut the parts out and use CONCATENATION"
        )
    step = int(steps[0]) if steps.size else 1
    taken = [(len(chosen), step * strides[axis])] if indices.ndim else []
    axes = list(zip(shape, strides, strict=True))
    return view(op, op.output, int(chosen[0]) * strides[axis], [*axes[:axis], *taken, *axes[axis + 1 :]])


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

"""SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND, between which converters put convolutions with dilations."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_quantcheck.graph.from_tflite.operator import Step, TfliteOperator
from pytest_quantcheck.graph.model import Pad, Slice, row_major


def space_to_batch(op: TfliteOperator) -> Slice | list[Step]:
    """Padded with the zero point, then ``y[(b, n), i, ...] = x[n, i * block + b, ...]`` along each axis.

    Source: LiteRT ``reference/space_to_batch_nd.h``. TFLM pads with whatever lies in its memory: its
    ``space_to_batch_nd.cc`` never sets ``output_offset``.
    """
    shape = op.input(0).shape
    blocks, pads = _blocks(op, shape)
    pairs = ((0, 0), *pads, *((0, 0),) * (len(shape) - 1 - len(blocks)))
    padded = tuple(n + sum(pair) for n, pair in zip(shape, pairs, strict=True))
    spatial, rest = padded[1 : len(blocks) + 1], padded[len(blocks) + 1 :]
    if any(n % block for n, block in zip(spatial, blocks, strict=True)):
        op.fail(f"{padded[1:]} is no multiple of its blocks {blocks}")
    small = [n // block for n, block in zip(spatial, blocks, strict=True)]
    op.require_shape(op.output, (math.prod(blocks) * shape[0], *small, *rest))
    steps = row_major(padded)
    inner = steps[1 : len(blocks) + 1]
    outer = [step * block for step, block in zip(inner, blocks, strict=True)]
    strides = (*inner, steps[0], *outer, *steps[1 + len(blocks) :])
    moved = Slice(0, strides, (*blocks, shape[0], *small, *rest))
    if padded == shape:
        return moved
    scale, zero_point = op.activation_tensor(op.output)
    middle = op.between(padded, scale, zero_point)
    return [
        Step("PAD", Pad(pairs, zero_point), (op.input(0),), middle),
        Step(op.summary.kind, moved, (middle,), op.output),
    ]


def batch_to_space(op: TfliteOperator) -> Slice | list[Step]:
    """``y[n, i * block + b, ...] = x[(b, n), i, ...]`` along each axis, of which both ends are cut off.

    Source: TFLM ``reference/batch_to_space_nd.h``.
    """
    shape = op.input(0).shape
    blocks, crops = _blocks(op, shape)
    small, rest = shape[1 : len(blocks) + 1], shape[len(blocks) + 1 :]
    batches, over = divmod(shape[0], math.prod(blocks))
    if over:
        op.fail(f"a batch of {shape[0]} is no multiple of its blocks {blocks}")
    whole = (batches, *(n * block for n, block in zip(small, blocks, strict=True)), *rest)
    steps = row_major(shape)
    sizes, strides = [batches], [steps[0]]
    for i, (n, block) in enumerate(zip(small, blocks, strict=True)):
        sizes += [n, block]
        strides += [steps[1 + i], math.prod(blocks[i + 1 :]) * batches * steps[0]]
    moved = Slice(0, (*strides, *steps[1 + len(blocks) :]), (*sizes, *rest))
    cut = ((0, 0), *crops, *((0, 0),) * len(rest))
    left = [n - sum(pair) for n, pair in zip(whole, cut, strict=True)]
    if min(left) < 1:
        op.fail(f"cuts {crops} off {whole[1:]}, which leaves nothing")
    op.require_shape(op.output, left)
    if tuple(left) == whole:
        return moved
    middle = op.between(whole, *op.activation_tensor(op.output))
    places = row_major(whole)
    offset = sum(pair[0] * place for pair, place in zip(cut, places, strict=True))
    return [
        Step("TRANSPOSE", moved, (op.input(0),), middle),
        Step(op.summary.kind, Slice(offset, places), (middle,), op.output),
    ]


def _blocks(op: TfliteOperator, shape: Sequence[int]) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """The sizes of the blocks, and what is put at or cut off both ends of their axes."""
    op.arity(3)
    op.require_dtype(op.input(0), "int8")
    op.require_rank(op.input(0), 3, 4)
    op.require_one_scale((op.input(0),))
    blocks = tuple(int(n) for n in op.constant(1, "int32").reshape(-1))
    ends = op.constant(2, "int32")
    if len(blocks) != len(shape) - 2 or min(blocks) < 1:
        op.fail(f"its blocks {blocks} do not fit the {len(shape)} dimensions of its input")
    if ends.shape != (len(blocks), 2) or ends.min() < 0:
        op.fail(f"{ends.tolist()} cells at the ends of its axes do not fit its blocks {blocks}")
    return blocks, tuple((int(before), int(behind)) for before, behind in ends)

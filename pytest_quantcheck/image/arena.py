"""Where every activation and scratch buffer lies in a device's arena: a static plan by lifetimes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_quantcheck.errors import UnsupportedOperatorError
from pytest_quantcheck.graph.model import (
    Add,
    Extremum,
    Mul,
    Operator,
    Prelu,
    QuantGraph,
    Rescale,
    Reshape,
    SigmoidInt16,
    Softmax,
    SoftmaxInt16,
    Table,
)
from pytest_quantcheck.image.layout import ALIGNMENT

_ATTEMPTS = 300
_IN_PLACE = (Add, Mul, Extremum, Prelu, Rescale, Softmax, SoftmaxInt16, Table, SigmoidInt16)


@dataclass(frozen=True)
class Buffer:
    """``size`` bytes in use from operator position ``first`` to ``last``, both inclusive."""

    size: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        """Whether both are in use at some operator."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Placement:
    """``offsets[i]`` belongs to buffer i. No plan can be smaller than ``lower_bound`` bytes."""

    offsets: tuple[int, ...]
    size: int
    lower_bound: int


@dataclass(frozen=True)
class ArenaPlan:
    """Offsets in bytes: by tensor index for activations, by operator position for scratch.

    ``in_use[p]`` are the bytes that hold something while the operator at position p runs.
    """

    tensors: dict[int, int]
    scratch: tuple[int, ...]
    size: int
    lower_bound: int
    in_use: tuple[int, ...]


def align(size: int) -> int:
    """``size`` rounded up to the arena's alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """The most bytes that are in use at one operator."""
    return max((in_use(buffers, step) for step in {b.first for b in buffers}), default=0)


def in_use(buffers: Sequence[Buffer], position: int) -> int:
    """Bytes in use at the operator at ``position``."""
    return sum(align(b.size) for b in buffers if b.first <= position <= b.last)


def place(buffers: Sequence[Buffer]) -> Placement:
    """Give buffers offsets so that no two that meet overlap; deterministic.

    Greedy first fit in several orders, then the best order is improved by moving one buffer at a
    time, until the plan reaches the lower bound or the attempts are used up.
    """
    bound = lower_bound(buffers)
    orders = [sorted(range(len(buffers)), key=lambda i: (key(buffers[i]), i)) for key in _ORDERS]
    best_order = min(orders, key=lambda order: _first_fit(buffers, order)[1])
    best = _first_fit(buffers, best_order)
    rng = random.Random(0)
    for _ in range(_ATTEMPTS):
        if best[1] == bound:
            break
        order = _moved(buffers, best_order, best, rng)
        candidate = _first_fit(buffers, order)
        if candidate[1] <= best[1]:
            best_order, best = order, candidate
    return Placement(tuple(best[0]), best[1], bound)


_ORDERS: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
    lambda b: (-b.size, b.first),
    lambda b: (b.first - b.last, -b.size),
    lambda b: (-b.size * (b.last - b.first + 1),),
    lambda b: (b.first, -b.size),
)


def _moved(
    buffers: Sequence[Buffer], order: Sequence[int], placed: tuple[list[int], int], rng: random.Random
) -> list[int]:
    """The order with one buffer at another turn; most often one that reaches the plan's end."""
    offsets, size = placed
    top = [i for i in order if offsets[i] + align(buffers[i].size) == size]
    moving = rng.choice(top if rng.random() < 0.7 else list(order))
    rest = [i for i in order if i != moving]
    rest.insert(rng.randrange(len(order)), moving)
    return rest


def _first_fit(buffers: Sequence[Buffer], order: Sequence[int]) -> tuple[list[int], int]:
    """Each buffer in turn at the lowest offset that is free during its life."""
    offsets = [0] * len(buffers)
    done: list[int] = []
    end = 0
    for i in order:
        taken = sorted(
            (offsets[j], offsets[j] + align(buffers[j].size)) for j in done if buffers[j].meets(buffers[i])
        )
        size, offset = align(buffers[i].size), 0
        for start, stop in taken:
            if offset + size <= start:
                break
            offset = max(offset, stop)
        offsets[i] = offset
        done.append(i)
        end = max(end, offset + size)
    return offsets, end


def plan(graph: QuantGraph, scratch: Sequence[int]) -> ArenaPlan:
    """Plan a graph's activations and ``scratch[p]`` bytes for the operator at position p.

    RESHAPE shares its input's bytes. An elementwise operator writes over an input that nobody reads
    afterwards. Graph inputs are in use from the start, graph outputs to the end; states all the time, and
    what they become to the end.
    """
    owners, buffers = _activations(graph)
    slots = sorted(set(owners.values()))
    scratch_at = [p for p, size in enumerate(scratch) if size]
    wanted = [buffers[s] for s in slots] + [Buffer(scratch[p], p, p) for p in scratch_at]
    placed = place(wanted)
    offset_of = dict(zip(slots, placed.offsets, strict=False))
    scratch_offsets = dict(zip(scratch_at, placed.offsets[len(slots) :], strict=True))
    return ArenaPlan(
        {tensor: offset_of[slot] for tensor, slot in owners.items()},
        tuple(scratch_offsets.get(p, 0) for p in range(len(scratch))),
        placed.size,
        placed.lower_bound,
        tuple(in_use(wanted, position) for position in range(len(scratch))),
    )


def _activations(graph: QuantGraph) -> tuple[dict[int, int], dict[int, Buffer]]:
    """``(owners, buffers)``: which tensor's buffer each activation uses, and the owners' buffers."""
    owners: dict[int, int] = {}
    buffers: dict[int, Buffer] = {}
    last_use = _last_uses(graph)

    def start(tensor: int, position: int) -> None:
        owners[tensor] = tensor
        buffers[tensor] = Buffer(graph.tensors[tensor].nbytes, position, last_use[tensor])

    for tensor in (*graph.inputs, *(state.before for state in graph.states)):
        start(tensor, 0)
    for position, op in enumerate(graph.operators):
        output = op.outputs[0]
        shared = _overwritable(graph, op, position, owners, buffers)
        if shared is None:
            start(output, position)
        else:
            owners[output] = shared
            held = buffers[shared]
            buffers[shared] = Buffer(held.size, held.first, max(held.last, last_use[output]))
    return owners, buffers


def _last_uses(graph: QuantGraph) -> dict[int, int]:
    """The last operator position that needs each activation's bytes, under any of its names."""
    end = len(graph.operators)
    last = dict.fromkeys(graph.inputs, 0)
    for position, op in enumerate(graph.operators):
        for tensor in (*op.inputs, *op.outputs):
            if tensor >= 0 and not graph.tensors[tensor].is_constant:
                last[tensor] = position
    last.update(dict.fromkeys(graph.outputs, end))
    last.update((tensor, end) for state in graph.states for tensor in (state.before, state.after))
    for op in reversed(graph.operators):  # a reshaped tensor is needed as long as its other name
        if isinstance(op.params, Reshape) and op.inputs[0] in last:
            last[op.inputs[0]] = max(last[op.inputs[0]], last[op.outputs[0]])
    return last


def _overwritable(
    graph: QuantGraph,
    op: Operator,
    position: int,
    owners: dict[int, int],
    buffers: dict[int, Buffer],
) -> int | None:
    """The buffer that the operator's output may share, if any."""
    output = graph.output_of(op)
    if isinstance(op.params, Reshape):
        if op.inputs[0] not in owners:
            raise UnsupportedOperatorError(
                f"operator {op.source} ({op.kind}): its input is a constant; it must be an activation"
            )
        return owners[op.inputs[0]]
    if not isinstance(op.params, _IN_PLACE):
        return None
    for tensor in op.inputs:
        if tensor not in owners or graph.tensors[tensor].nbytes != output.nbytes:
            continue
        if buffers[owners[tensor]].last == position:
            return owners[tensor]
    return None

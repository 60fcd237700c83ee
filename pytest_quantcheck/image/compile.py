"""Compiles an integer graph into a device image (firmware/SPEC.md).

Weights are packed in the order the kernels read them, input zero points are folded into biases, the arena is
planned.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_quantcheck.errors import ImageError, UnsupportedOperatorError
from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.image import arena, layout
from pytest_quantcheck.image.constants import Constants
from pytest_quantcheck.image.emit import emit
from pytest_quantcheck.image.source_operator import KernelCall
from pytest_quantcheck.image.tensor_table import TensorTable


@dataclass(frozen=True)
class OperatorSize:
    """Bytes of one operator. ``flash``: its record, parameters and constants (those that several share count
    for the first); ``arena``: what holds something while it runs, scratch included.
    """

    flash: int
    arena: int


@dataclass(frozen=True)
class DeviceImage:
    """An image with its identity and needs; sizes in bytes. ``sha256`` is over ``data``; ``operators`` in
    the graph's order."""

    data: bytes
    sha256: bytes
    arena_bytes: int
    arena_lower_bound: int
    constants_bytes: int
    source_sha256: str
    operators: tuple[OperatorSize, ...]


def compile_image(graph: QuantGraph) -> DeviceImage:
    """Compile a graph; equal graphs give equal bytes.

    Raises ``UnsupportedOperatorError`` for what the engine cannot do and ``ImageError`` for what the
    format cannot hold.
    """
    constants = Constants()
    calls, flash = [], []
    for op in graph.operators:
        before = len(constants)
        calls.append(emit(graph, op, constants))
        flash.append(len(constants) - before)
    calls, plan = _planned(graph, calls)
    _check_states(graph, plan)
    tensors = TensorTable(graph, plan, constants)
    lists = [tensors.index(t) for t in (*graph.inputs, *graph.outputs)]
    for state in graph.states:
        lists += [tensors.index(state.before), tensors.index(state.after), tensors.initial(state)]
    records, params = [], bytearray()
    flash = [size + layout.OPERATOR.size + len(call.params) for size, call in zip(flash, calls, strict=True)]
    for position, (op, call) in enumerate(zip(graph.operators, calls, strict=True)):
        inputs, before = call.inputs, len(constants)
        records.append(
            layout.OPERATOR.pack(
                layout.OPCODES.index(call.opcode),
                layout.STATES.index("elided" if call.opcode == "RESHAPE" else "executed"),
                op.source,
                len(inputs),
                1,
                op.output,
                len(lists),
                len(params),
                len(call.params),
                plan.scratch[position],
                call.scratch,
                0,
            )
        )
        shapes = call.shapes or (None,) * len(inputs)
        lists.extend(tensors.index(t, shape) for t, shape in zip(inputs, shapes, strict=True))
        lists.append(tensors.index(op.outputs[0], call.output_shape))
        params += call.params
        flash[position] += len(constants) - before
    _check_count("lists", len(lists))
    data = _assemble(graph, plan.size, tensors.records, records, lists, bytes(params), constants.data)
    return DeviceImage(
        data,
        hashlib.sha256(data).digest(),
        plan.size,
        plan.lower_bound,
        len(constants.data),
        graph.source_sha256,
        tuple(map(OperatorSize, flash, plan.in_use)),
    )


def _planned(graph: QuantGraph, calls: list[KernelCall]) -> tuple[list[KernelCall], arena.ArenaPlan]:
    """The arena's plan, and what takes more scratch because it has room: no byte of it is added for that."""
    plan = arena.plan(graph, [call.scratch for call in calls])
    roomy = {
        position: call.roomy
        for position, call in enumerate(calls)
        if call.roomy and plan.in_use[position] + arena.align(call.roomy.scratch - call.scratch) <= plan.size
    }
    while roomy:
        chosen = [roomy.get(position, call) for position, call in enumerate(calls)]
        larger = arena.plan(graph, [call.scratch for call in chosen])
        if larger.size <= plan.size:
            return chosen, larger
        del roomy[max(roomy, key=lambda position: roomy[position].scratch)]
    return calls, plan


def _check_states(graph: QuantGraph, plan: arena.ArenaPlan) -> None:
    """Behind a run, states take their new values one after the other: none may lie where another one does."""
    if len(graph.states) > layout.MAX_STATES:
        raise ImageError(f"the model has {len(graph.states)} variables; an image holds {layout.MAX_STATES}")
    places = {plan.tensors[state.before]: state for state in graph.states}
    for state in graph.states:
        other = places.get(plan.tensors[state.after], state)
        if other is not state:
            names = [graph.tensors[each.before].name for each in (state, other)]
            raise UnsupportedOperatorError(
                f"the variable {names[0]!r} takes over the value of {names[1]!r} as it is; keep one variable "
                "for both, or compute something on the way"
            )


def _assemble(
    graph: QuantGraph,
    arena_bytes: int,
    tensors: Sequence[bytes],
    operators: Sequence[bytes],
    lists: Sequence[int],
    params: bytes,
    constants: bytes,
) -> bytes:
    """Header and sections, one behind the other."""
    source = bytes.fromhex(graph.source_sha256)
    if len(source) != 32:
        raise ImageError(f"source_sha256 must be 64 hexadecimal digits, got {graph.source_sha256!r}")
    body = bytearray(layout.HEADER.size)
    offsets = []
    for section, alignment in (
        (b"".join(tensors), 4),
        (b"".join(operators), 4),
        (struct.pack(f"<{len(lists)}H", *lists), 4),
        (params, 4),
        (constants, layout.ALIGNMENT),
    ):
        body += bytes(-len(body) % alignment)
        offsets.append(len(body))
        body += section
    body += bytes(-len(body) % layout.ALIGNMENT)
    layout.HEADER.pack_into(
        body,
        0,
        layout.MAGIC,
        layout.VERSION,
        layout.HEADER.size,
        len(body),
        0,
        source,
        arena_bytes,
        _check_count("tensors", len(tensors)),
        _check_count("operators", len(operators)),
        len(graph.inputs),
        len(graph.outputs),
        offsets[0],
        offsets[1],
        offsets[2],
        len(lists),
        offsets[3],
        len(params),
        offsets[4],
        len(constants),
        len(graph.states),
        0,
    )
    return layout.with_crc(body)


def _check_count(what: str, count: int) -> int:
    if count >= layout.RECORDS_LIMIT:
        raise ImageError(f"the model has {count} {what}; an image holds fewer than {layout.RECORDS_LIMIT}")
    return count

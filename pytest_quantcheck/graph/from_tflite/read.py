"""Read a ``.tflite`` file into the integer graph: tensors, order, parameters.

Nothing in the file is trusted. What cannot run is ``UnsupportedOperatorError`` (the operator and the
reason), what is broken is ``ModelError``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pytest_quantcheck.errors import ModelError, UnsupportedOperatorError
from pytest_quantcheck.formats.summary import OperatorSummary, Summary, TensorSummary
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.graph.from_tflite.fold import Folded, fold, is_folded
from pytest_quantcheck.graph.from_tflite.operator import TfliteOperator
from pytest_quantcheck.graph.from_tflite.recurrent import KINDS as KEEPING
from pytest_quantcheck.graph.from_tflite.recurrent import STATES
from pytest_quantcheck.graph.from_tflite.rules import SUPPORTED, activation_first, note, steps
from pytest_quantcheck.graph.from_tflite.variables import without_variables
from pytest_quantcheck.graph.model import Operator, QuantGraph, Quantization, Tensor, operator_index
from pytest_quantcheck.graph.state import State
from pytest_quantcheck.numerics.arrays import Array

MAX_RANK = 4
MAX_MOVED_RANK = 6
_MOVING = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TILE", "TRANSPOSE")  # what may have more axes
MAX_TENSOR_BYTES = 1 << 26
_DTYPES = ("int8", "uint8", "int16", "int32", "int64", "float32")


def read_tflite(data: bytes) -> QuantGraph:
    """The integer graph of a quantized ``.tflite`` file (int8 or int16 inside; int8, uint8, int16, float32 at
    its edges).

    Operators that only compute shapes from constants (SHAPE, STRIDED_SLICE, PACK before RESHAPE, as
    Keras exports models of unknown batch size) are folded away; all others keep their index in the
    file. ``notes`` name what was folded and what is surprising. Raises ``ModelError`` or
    ``UnsupportedOperatorError``.
    """
    summary = read_tflite_summary(data)
    if summary.has_control_flow:
        raise ModelError(f"the model has {summary.subgraphs} subgraphs (control flow); one is supported")
    count = len(summary.operators)
    summary, states = without_variables(summary)
    folded, notes = fold(summary)
    sources = [op for op in summary.operators if not is_folded(op, folded)]
    for op in sources:
        if op.kind not in SUPPORTED:
            raise UnsupportedOperatorError(
                f"{_name(op)}: this operator is not supported; supported: {', '.join(SUPPORTED)}"
            )
    kept = _kept(summary, sources, states)
    _check_order(summary, sources, folded, {*kept, *(state.before for state in states)}, states)
    tensors = [_unused(tensor) for tensor in summary.tensors]
    for owner, rank, indices in _uses(summary, sources, states):
        for index in indices:
            if index >= 0:
                seen = summary.tensors[index]
                seen = replace(seen, variable=False) if index in kept else seen
                tensors[index] = _tensor(owner, rank, seen, folded.get(index))
    operators = [_operator(op, tensors) for op in sources]
    written = _written(operators, tensors, count)
    return QuantGraph(
        tuple(tensors),
        written,
        summary.inputs,
        summary.outputs,
        hashlib.sha256(data).hexdigest(),
        summary.description,
        (*notes, *filter(None, map(note, operators))),
        states,
    )


def _written(
    operators: Sequence[TfliteOperator], tensors: list[Tensor], inserted: int
) -> tuple[Operator, ...]:
    """The operators of the graph in order. Tensors that stand nowhere in the file join ``tensors``; what
    writes them is counted from ``inserted`` on."""
    places = {id(tensor): tensor.index for tensor in tensors}

    def place(tensor: Tensor | None) -> int:
        if tensor is None:
            return -1
        if id(tensor) not in places:
            places[id(tensor)] = len(tensors)
            tensors.append(replace(tensor, index=len(tensors)))
        return places[id(tensor)]

    written = []
    for op, made in [(op, steps(op)) for op in operators]:  # all are kept, so that no two have one id
        for step in made:
            if step.output.index < 0:
                index, inserted = inserted, inserted + 1
            else:
                index = operator_index(op.summary.index, op.outputs.index(step.output))
            inputs = tuple(map(place, step.inputs))
            written.append(Operator(index, step.kind, inputs, (place(step.output),), step.params))
    return tuple(written)


def _name(op: OperatorSummary) -> str:
    return f"operator {op.index} ({op.kind})"


def _uses(
    summary: Summary, sources: Sequence[OperatorSummary], states: Sequence[State]
) -> list[tuple[str, int, tuple[int, ...]]]:
    """Who uses which tensors, of how many axes at most; the operators first, so that errors name them."""
    uses = [(_name(op), _most_axes(op), (*op.inputs, *op.outputs)) for op in sources]
    uses += [("a variable", MAX_RANK, (state.before, state.after)) for state in states]
    edges = (("the graph's inputs", summary.inputs), ("the graph's outputs", summary.outputs))
    return [*uses, *((name, MAX_RANK, indices) for name, indices in edges)]


def _most_axes(op: OperatorSummary) -> int:
    return MAX_MOVED_RANK if op.kind in _MOVING else MAX_RANK


def _kept(summary: Summary, sources: Sequence[OperatorSummary], states: Sequence[State]) -> set[int]:
    """Variable tensors that hold an operator's own states; nobody else may use them."""
    found: set[int] = set()
    for op in sources:
        own = {i for i in op.inputs if i >= 0 and summary.tensors[i].variable and op.kind in KEEPING}
        if own & found:
            raise ModelError(f"{_name(op)}: tensor {min(own & found)} is the state of another operator, too")
        found |= own
    used = [*summary.outputs, *(state.after for state in states)]
    used += [i for op in sources if op.kind not in KEEPING for i in op.inputs]
    used += [i for op in sources if op.kind in KEEPING for i in op.inputs[: STATES.start]]
    if shared := found & set(used):
        raise UnsupportedOperatorError(
            f"tensor {min(shared)} is the state of an LSTM, which only that operator can read here"
        )
    return found


def _check_order(
    summary: Summary,
    sources: Sequence[OperatorSummary],
    folded: Folded,
    kept: set[int],
    states: Sequence[State],
) -> None:
    """Every input must be known before its operator runs, every activation written once."""
    constant = {t.index for t in summary.tensors if t.data is not None} | folded.keys()
    known = constant | set(summary.inputs) | kept
    if len(known) != len(constant) + len(summary.inputs) + len(kept):
        raise ModelError("an input of the graph is listed twice, is a constant or a variable")
    for op in sources:
        for index in op.inputs:
            if index >= 0 and index not in known:
                raise ModelError(f"{_name(op)}: tensor {index} is used before it is computed")
        for index in op.outputs:
            if index in known:
                raise ModelError(f"{_name(op)}: tensor {index} is written twice or is a constant")
            known.add(index)
    for state in states:
        if state.after not in known or state.after in constant:
            raise ModelError(f"a variable is assigned tensor {state.after}, which the graph does not compute")
    for index in summary.outputs:
        if index not in known or index in constant:
            raise ModelError(f"output tensor {index} is not computed by the graph")
    if not summary.inputs or not summary.outputs or not sources:
        raise ModelError("the graph has no inputs, no outputs or no operators")


def _unused(summary: TensorSummary) -> Tensor:
    """A place holder that keeps ``tensors[i].index == i``; no operator refers to it."""
    return Tensor(summary.index, summary.name, (0,), np.dtype(np.int8))


def _tensor(owner: str, rank: int, summary: TensorSummary, folded: Array | None) -> Tensor:
    """One tensor that ``owner`` uses, of ``rank`` axes at most; sizes are limited so that a hostile file
    cannot ask for much."""
    what = f"{owner}: tensor {summary.index} ({summary.name})"
    if summary.variable:
        raise UnsupportedOperatorError(f"{what} is variable; models with state are not supported")
    if summary.sparse:
        raise UnsupportedOperatorError(f"{what} is sparse; only dense tensors are supported")
    if summary.dtype not in _DTYPES:
        raise UnsupportedOperatorError(f"{what} is {summary.dtype}; supported: {', '.join(_DTYPES)}")
    if len(summary.shape) > rank:
        raise UnsupportedOperatorError(f"{what} has {len(summary.shape)} dimensions; {rank} are supported")
    if min(summary.shape, default=1) < 1:
        raise UnsupportedOperatorError(f"{what} has shape {summary.shape}; sizes must be known and positive")
    dtype = np.dtype(summary.dtype)
    if summary.elements * dtype.itemsize > MAX_TENSOR_BYTES:
        raise ModelError(f"{what} has shape {summary.shape}, more than {MAX_TENSOR_BYTES} bytes")
    data = folded
    if data is None and summary.data is not None:
        data = summary.values
    return Tensor(summary.index, summary.name, summary.shape, dtype, _quantization(what, summary), data)


def _quantization(what: str, summary: TensorSummary) -> Quantization | None:
    scales, zero_points = summary.scales, summary.zero_points
    if len(scales) == 0:
        return None
    if len(zero_points) != len(scales):  # of those that are missing TFLM reads what lies behind them
        raise ModelError(
            f"{what} has {len(scales)} scales, but {len(zero_points)} zero points; convert the model again"
        )
    if not np.all(np.isfinite(scales)) or np.any(scales <= 0):
        raise ModelError(f"{what} has scales from {scales.min()} to {scales.max()}; they must be positive")
    if summary.dtype in ("int8", "uint8", "int16", "int32"):
        info = np.iinfo(summary.dtype)
        if zero_points.min() < info.min or zero_points.max() > info.max:
            raise ModelError(f"{what} has a zero point outside {summary.dtype}")
    return Quantization(scales, zero_points, summary.axis)


def read_operator(source: OperatorSummary, summary: Summary, folded: Folded) -> None:
    """Raises what ``read_tflite`` raises about this operator and the tensors that it uses."""
    tensors = [_unused(tensor) for tensor in summary.tensors]
    for index in (*source.inputs, *source.outputs):
        if index >= 0:
            tensors[index] = _tensor(
                _name(source), _most_axes(source), summary.tensors[index], folded.get(index)
            )
    steps(_operator(source, tensors))


def _operator(source: OperatorSummary, tensors: Sequence[Tensor]) -> TfliteOperator:
    places = activation_first(source.kind, source.inputs)
    inputs = tuple(tensors[i] if i >= 0 else None for i in places)
    return TfliteOperator(source, inputs, tuple(tensors[i] for i in source.outputs))

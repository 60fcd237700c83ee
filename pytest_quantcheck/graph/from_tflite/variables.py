"""Variables become states of the graph: a tensor that an inference begins with, and what it leaves behind.

VAR_HANDLE, ASSIGN_VARIABLE and CALL_ONCE are gone then, and READ_VARIABLE is another name of the tensor
that was assigned last. So nothing is copied but a state's new value, behind an inference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pytest_quantcheck.errors import ModelError, UnsupportedOperatorError
from pytest_quantcheck.formats.summary import OperatorSummary, Summary, TensorSummary
from pytest_quantcheck.graph.state import State
from pytest_quantcheck.numerics.arrays import Array

KINDS = ("CALL_ONCE", "VAR_HANDLE", "ASSIGN_VARIABLE")
"""What has no operator in the graph."""

_Name = tuple[bytes, bytes]


@dataclass
class _Variable:
    """``tensor`` is the one before the first assignment; ``now`` what it holds at this operator."""

    name: _Name
    tensor: int
    now: int
    first: TensorSummary | None = None  # what was read or assigned first: all others are like it
    read: bool = False  # before it was assigned


@dataclass
class _Reader:
    summary: Summary
    by_name: dict[_Name, _Variable] = field(default_factory=dict)
    by_handle: dict[int, _Variable] = field(default_factory=dict)

    def operators(self) -> Iterator[OperatorSummary]:
        for op in self.summary.operators:
            if op.kind == "VAR_HANDLE":
                self._handle(op)
            elif op.kind == "READ_VARIABLE":
                yield self._read(op)
            elif op.kind == "ASSIGN_VARIABLE":
                self._assign(op)
            elif op.kind != "CALL_ONCE":
                yield op

    def _handle(self, op: OperatorSummary) -> None:
        (handle,) = _exactly(op, op.outputs, 1, "outputs")
        name = _name(op)
        self.by_handle[handle] = self.by_name.setdefault(name, _Variable(name, handle, handle))

    def _read(self, op: OperatorSummary) -> OperatorSummary:
        (handle,) = _exactly(op, op.inputs, 1, "inputs")
        (output,) = _exactly(op, op.outputs, 1, "outputs")
        variable = self._variable(op, handle)
        self._compare(op, variable, output)
        variable.read |= variable.now == variable.tensor
        return replace(op, inputs=(variable.now,))

    def _assign(self, op: OperatorSummary) -> None:
        handle, value = _exactly(op, op.inputs, 2, "inputs")
        variable = self._variable(op, handle)
        self._compare(op, variable, value)
        variable.now = value

    def _variable(self, op: OperatorSummary, handle: int) -> _Variable:
        if handle not in self.by_handle:
            raise ModelError(f"{_what(op)}: input {handle} is not the handle of a variable")
        return self.by_handle[handle]

    def _compare(self, op: OperatorSummary, variable: _Variable, index: int) -> None:
        """Runtimes copy bytes, whatever tensors say that they are."""
        if not 0 <= index < len(self.summary.tensors):
            raise ModelError(f"{_what(op)}: its value is absent")
        tensor = self.summary.tensors[index]
        first = variable.first = variable.first or tensor
        if (tensor.dtype, tensor.shape) != (first.dtype, first.shape):
            raise UnsupportedOperatorError(
                f"{_what(op)}: tensor {index} is {tensor.dtype} {tensor.shape}, the variable elsewhere "
                f"{first.dtype} {first.shape}; one type and shape is allowed"
            )


def without_variables(summary: Summary) -> tuple[Summary, tuple[State, ...]]:
    """The same network without operators of variables, and its states.

    The handle of a variable becomes the tensor that holds it when an inference begins. Raises ``ModelError``
    or ``UnsupportedOperatorError``.
    """
    if not set(summary.kinds) & {*KINDS, "READ_VARIABLE"}:
        return summary, ()
    reader = _Reader(summary)
    operators = tuple(reader.operators())
    tensors, states = list(summary.tensors), []
    initial = _initial_values(summary)
    for variable in reader.by_name.values():
        if not variable.read or variable.first is None:
            continue  # every inference computes it anew
        name = variable.name[1].decode("utf-8", "replace")
        tensors[variable.tensor] = replace(variable.first, index=variable.tensor, name=name, data=None)
        states.append(State(variable.tensor, variable.now, _checked(variable, name, initial)))
    return replace(summary, operators=operators, tensors=tuple(tensors)), tuple(states)


def _checked(variable: _Variable, name: str, initial: dict[_Name, Array]) -> Array:
    """The values that a variable begins with."""
    first = variable.first
    assert first is not None, "it was read"
    if variable.name not in initial:
        raise UnsupportedOperatorError(
            f"variable {name!r} is read before anything is assigned to it, and no CALL_ONCE gives it a first "
            "value: convert the model again, from a tf.Variable"
        )
    value = initial[variable.name]
    if value.dtype.name != first.dtype or value.size != first.elements:
        raise UnsupportedOperatorError(
            f"variable {name!r} begins as {value.dtype.name} {value.shape}, but is read as {first.dtype} "
            f"{first.shape}: quantize the variables, too (converter._experimental_variable_quantization = "
            "True)"
        )
    return value.reshape(first.shape)


def _initial_values(summary: Summary) -> dict[_Name, Array]:
    """What the subgraphs of CALL_ONCE assign; they hold nothing else."""
    found: dict[_Name, Array] = {}
    for number, first in summary.initializers.items():
        names: dict[int, _Name] = {}
        for op in first.operators:
            if op.kind == "VAR_HANDLE":
                names[_exactly(op, op.outputs, 1, "outputs")[0]] = _name(op)
                continue
            value = first.tensors[op.inputs[1]] if len(op.inputs) == 2 and op.inputs[1] >= 0 else None
            if (
                op.kind != "ASSIGN_VARIABLE"
                or value is None
                or value.data is None
                or op.inputs[0] not in names
            ):
                raise UnsupportedOperatorError(
                    f"{_what(op)} of subgraph {number}: a variable's first value must be a constant"
                )
            found[names[op.inputs[0]]] = value.values
    return found


def _name(op: OperatorSummary) -> _Name:
    if op.options is None:
        raise ModelError(f"{_what(op)}: the file has no option table for it")
    return op.options["Container"] or b"", op.options["SharedName"] or b""


def _exactly(op: OperatorSummary, indices: tuple[int, ...], count: int, what: str) -> tuple[int, ...]:
    if len(indices) != count:
        raise ModelError(f"{_what(op)}: has {len(indices)} {what}, {count} are allowed")
    return indices


def _what(op: OperatorSummary) -> str:
    return f"operator {op.index} ({op.kind})"

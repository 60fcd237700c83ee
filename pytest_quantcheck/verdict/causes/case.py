"""``Case``: the operator in which a device first differs, and what there is to compute it again from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.execute import Values, computed
from pytest_quantcheck.graph.model import Operator, QuantGraph, Requantize, Tensor
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.numerics.power_of_two import DIVIDING

_IDENTITY = Requantize(np.array([1 << 30]), np.array([1]), "single")
"""Multiplies by 1, so that what comes out are the sums themselves."""


@dataclass(frozen=True, eq=False)
class Witness:
    """One inference. ``inputs`` are the raw tensors of the model, ``expected`` the right values by tensor,
    ``seen`` what the device gave for the operator, in its output's shape. ``floats`` are the samples before
    they were quantized, where they are known; ``before`` are the raw inputs of the inference before.
    """

    inputs: tuple[Array, ...]
    expected: Values
    seen: Array
    floats: tuple[Array, ...] | None = None
    before: tuple[Array, ...] | None = None


@dataclass(frozen=True, eq=False)
class Case:
    """The first operator whose output differs, in its graph."""

    graph: QuantGraph
    operator: Operator

    @property
    def output(self) -> Tensor:
        """What the operator writes."""
        return self.graph.output_of(self.operator)

    @property
    def params(self) -> Any:
        """The operator's parameters, of whatever class."""
        return self.operator.params

    @property
    def name(self) -> str:
        """How evidence calls what is computed again."""
        return self.operator.kind

    @property
    def divides(self) -> bool:
        """Whether one requantization divides by a power of two: scales are powers of two."""
        return _divides(self.operator)

    @property
    def active(self) -> tuple[int, ...]:
        """The tensors that come in and are no constants."""
        return tuple(i for i in self.operator.inputs if i >= 0 and not self.graph.tensors[i].is_constant)

    def right(self, witness: Witness) -> Array:
        """What the operator should have given."""
        return computed(witness.expected[self.operator.outputs[0]])

    def constant(self, position: int) -> Array | None:
        """A constant input of the operator, such as its weights (1) or its biases (2)."""
        places = self.operator.inputs
        index = places[position] if position < len(places) else -1
        return self.graph.tensors[index].data if index >= 0 else None

    def compute(
        self,
        witness: Witness,
        *,
        params: Any = None,
        values: Mapping[int, Array] | None = None,
        constants: Mapping[int, Array] | None = None,
        order: Sequence[int] | None = None,
        dtype: str = "",
    ) -> Array:
        """The operator's output with something changed.

        ``params`` are other parameters, ``values`` other activations by tensor, ``constants`` other constants
        by position among the inputs, ``order`` the inputs in another order, ``dtype`` another type of output.
        """
        tensors, operator = list(self.graph.tensors), self.operator
        if params is not None:
            operator = replace(operator, params=params)
        if order is not None:
            operator = replace(operator, inputs=tuple(operator.inputs[i] for i in order))
        for position, data in (constants or {}).items():
            index = operator.inputs[position]
            tensors[index] = replace(tensors[index], data=data)
        out = operator.outputs[0]
        if dtype:
            tensors[out] = replace(tensors[out], dtype=np.dtype(dtype))
        given = values or {}
        inputs = [given[i] if i in given else computed(witness.expected[i]) for i in self.active]
        for index, value in zip(self.active, inputs, strict=True):
            tensors[index] = replace(tensors[index], shape=value.shape, dtype=value.dtype)
        alone = replace(
            self.graph,
            tensors=tuple(tensors),
            operators=(operator,),
            inputs=self.active,
            outputs=operator.outputs,
        )
        return computed(execute.run(alone, inputs)[out])

    def sums(self, witness: Witness, **changed: Any) -> Array | None:
        """The int32 sums of an operator with ``requantize`` before it scales them, int64; None of others.

        None too where the type is int16, whose sums are wider.
        """
        params = self.operator.params
        wide = self.output.dtype != np.int8
        if wide or not hasattr(params, "requantize") or not hasattr(params, "act_min"):
            return None
        if not isinstance(params.requantize, Requantize):
            return None
        limits = np.iinfo(np.int32)
        plain = replace(
            changed.pop("params", params),
            requantize=_IDENTITY,
            output_zero_point=0,
            act_min=int(limits.min),
            act_max=int(limits.max),
        )
        return self.compute(witness, params=plain, dtype="int32", **changed).astype(np.int64)

    def compute_many(self, witness: Witness, index: int, values: Array) -> Array:
        """Outputs (N, ...) for N values, (N, ...), of the activation ``index``; others are as expected."""
        operator, out = self.operator, self.operator.outputs[0]
        alone = replace(self.graph, operators=(operator,), inputs=self.active, outputs=operator.outputs)
        inputs = [values if i == index else _repeated(witness.expected[i], len(values)) for i in self.active]
        return computed(execute.run_batch(alone, inputs)[out])


@dataclass(frozen=True, eq=False)
class Whole(Case):
    """The whole network as one operator, of which only one output is known, that of ``operator``."""

    @property
    def name(self) -> str:
        """See ``Case``."""
        return "the network"

    @property
    def active(self) -> tuple[int, ...]:
        """See ``Case``."""
        return self.graph.inputs

    def compute(self, witness: Witness, **changed: Any) -> Array:
        """The output with other values of the inputs; nothing else can be changed here."""
        given: Mapping[int, Array] = changed.get("values") or {}
        inputs = [given.get(i, x) for i, x in zip(self.graph.inputs, witness.inputs, strict=True)]
        return computed(execute.run(self.graph, inputs)[self.operator.outputs[0]])

    def compute_many(self, witness: Witness, index: int, values: Array) -> Array:
        """See ``Case``."""
        pairs = zip(self.graph.inputs, witness.inputs, strict=True)
        inputs = [values if i == index else _repeated(x, len(values)) for i, x in pairs]
        return computed(execute.run_batch(self.graph, inputs)[self.operator.outputs[0]])


def has_exponents(graph: QuantGraph) -> bool:
    """Whether it divides by powers of two; a scale of TFLite's that happens to be one is no exponent."""
    return any(_divides(each) for each in graph.operators)


def _divides(operator: Operator) -> bool:
    rule = getattr(operator.params, "requantize", None)
    return isinstance(rule, Requantize) and rule.rounding in DIVIDING


def _repeated(value: Array | None, count: int) -> Array:
    return np.broadcast_to(computed(value), (count, *computed(value).shape))

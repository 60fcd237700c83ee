"""A device with a fault: it runs the graph operator by operator, and something in it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.execute import computed, crc32
from pytest_quantcheck.graph.model import Operator, QuantGraph
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.run import OperatorRecord, Run, Vectors

Kernel = Callable[[tuple[Array, ...], Array], Array]
"""``(activations that come in, right output) -> what the device gives``, samples first."""


@dataclass
class Device:
    """``kernels`` stand in for operators, by index; ``graph`` changes parameters and constants.

    ``prepared`` makes the raw inputs of one sample: ``(raw, floats, raw of the one before) -> raw``.
    ``written`` is told all values before an operator reads them, and may change the operator's inputs.
    ``outputs`` changes what is returned. ``exchanged``: two inputs arrive in each other's place. Without
    ``told`` there are no checksums of operators.
    """

    kernels: dict[int, Kernel] = field(default_factory=dict)
    graph: Callable[[QuantGraph], QuantGraph] | None = None
    prepared: Callable[[Array, Array | None, Array | None], Array] | None = None
    written: Callable[[Operator, dict[int, Array]], dict[int, Array]] | None = None
    outputs: Callable[[tuple[Array, ...]], tuple[Array, ...]] | None = None
    exchanged: bool = False
    name: str = "faulty"
    told: bool = True

    def __post_init__(self) -> None:
        self._floats: dict[bytes, Array] = {}
        self._last: Array | None = None

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        inputs = prepare.quantize_inputs(model, vectors)
        if isinstance(vectors, Samples):
            for row, x in zip(inputs[0], vectors.inputs[0], strict=True):
                self._floats[row.tobytes()] = np.asarray(x, np.float32)
        records, outputs = [], []
        for index in range(len(inputs[0])):
            values = self._values(model, [x[index] for x in inputs])
            outputs.append([values[i] for i in model.graph.outputs])
            records.append(
                tuple(
                    OperatorRecord(op.index, op.kind, crc32(values[op.outputs[0]]))
                    for op in model.graph.operators
                )
            )
        whole = tuple(np.stack(each) for each in zip(*outputs, strict=True))
        whole = prepare.model_outputs(model, whole)
        return Run(
            self.name,
            "faulty 1",
            model,
            vectors,
            inputs,
            self.outputs(whole) if self.outputs else whole,
            exact=True,
            operators=tuple(records) if operators and self.told else (),
        )

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:
        op = next(op for op in model.graph.operators if op.index == operator)
        return self._values(model, inputs)[op.outputs[0]]

    def _values(self, model: QuantizedModel, inputs: Sequence[Array]) -> dict[int, Array]:
        graph = self.graph(model.graph) if self.graph else model.graph
        given = [
            np.asarray(x).reshape(graph.tensors[i].shape) for x, i in zip(inputs, graph.inputs, strict=True)
        ]
        if self.prepared:
            raw = given[0]
            key = np.ascontiguousarray(inputs[0]).tobytes()
            made = self.prepared(raw, self._floats.get(key), self._last)
            self._last = raw
            given[0] = np.ascontiguousarray(made).reshape(raw.shape).astype(raw.dtype, copy=False)
        if self.exchanged:
            given = given[::-1]
        values = dict(zip(graph.inputs, given, strict=True))
        for op in graph.operators:
            read = self.written(op, values) if self.written else values
            active = tuple(i for i in op.inputs if i >= 0 and not graph.tensors[i].is_constant)
            alone = replace(graph, operators=(op,), inputs=active, outputs=op.outputs)
            out = computed(execute.run(alone, [read[i] for i in active])[op.outputs[0]])
            if op.index in self.kernels:
                out = self.kernels[op.index](tuple(read[i] for i in active), out)
            values[op.outputs[0]] = out
        return values


def operators(model: QuantizedModel, *kinds: str) -> list[Operator]:
    """Those of the kinds that have constant weights or none."""
    return [op for op in model.graph.operators if not kinds or op.kind in kinds]


def with_params(index: int, **changes: object) -> Callable[[QuantGraph], QuantGraph]:
    """A graph in which one operator's parameters are others; a function gets the old value."""

    def change(graph: QuantGraph) -> QuantGraph:
        done = []
        for op in graph.operators:
            if op.index == index:
                new = {k: v(getattr(op.params, k)) if callable(v) else v for k, v in changes.items()}
                op = replace(op, params=replace(op.params, **new))
            done.append(op)
        return replace(graph, operators=tuple(done))

    return change


def with_constant(
    index: int, position: int, change: Callable[[Array], Array]
) -> Callable[[QuantGraph], QuantGraph]:
    """A graph in which one constant input of an operator is another."""

    def apply(graph: QuantGraph) -> QuantGraph:
        op = next(op for op in graph.operators if op.index == index)
        tensors = list(graph.tensors)
        tensor = tensors[op.inputs[position]]
        assert tensor.data is not None
        data = np.ascontiguousarray(change(np.array(tensor.data)))
        tensors[op.inputs[position]] = replace(tensor, data=data)
        return replace(graph, tensors=tuple(tensors))

    return apply


__all__ = ["Device", "Raw", "operators", "with_constant", "with_params"]

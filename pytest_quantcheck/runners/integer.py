"""``integer``: this project's own interpreter, exact as TFLM and installed everywhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.graph.execute import Values, computed, crc32, run
from pytest_quantcheck.graph.model import Convolution, QuantGraph
from pytest_quantcheck.graph.sequence import run_steps
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.batches import Records, run_in_batches
from pytest_quantcheck.runners.run import OperatorRecord, Run, Vectors, installed

_ELEMENTS_AT_ONCE = 4_000_000


class IntegerRunner:
    """Runs the integer graph with NumPy, many samples at once."""

    name = "integer"
    exact = True
    """Whether it promises the exact integers."""

    @property
    def runtime(self) -> str:
        """Implementation and version."""
        return f"pytest-quantcheck interpreter {installed('pytest-quantcheck')}"

    def graph(self, model: QuantizedModel) -> QuantGraph:
        """What is computed for ``model``."""
        return model.graph

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        """See ``Runner``. Raises ``ModelError`` for models outside the supported set."""
        graph = self.graph(model)

        def infer(inputs: list[Array]) -> tuple[list[Array], list[Records]]:
            sequences = inputs[0].ndim > len(graph.tensors[graph.inputs[0]].shape) + 1
            outputs: list[list[Array]] = []
            found: list[Records] = [()] * (len(inputs[0]) if operators else 0)
            steps = run_steps(graph, inputs if sequences else [x[:, None] for x in inputs])
            for step, values in enumerate(steps):
                outputs.append([computed(values[index]) for index in graph.outputs])
                found = [each + _records(graph, values, sample, step) for sample, each in enumerate(found)]
            if not sequences:
                return outputs[0], found
            return [np.stack(each, axis=1) for each in zip(*outputs, strict=True)], found

        size = max(1, _ELEMENTS_AT_ONCE // _largest_intermediate(graph))
        return run_in_batches(
            model, vectors, infer, runner=self.name, runtime=self.runtime, size=size, exact=self.exact
        )

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:
        """See ``Runner``."""
        graph = self.graph(model)
        for op in graph.operators:
            if op.index == operator:
                one = prepare.one_inference(model, inputs)
                if prepare.steps_of(model, one):
                    *_, last = run_steps(graph, one)
                    return np.asarray(computed(last[op.outputs[0]])[0])
                return computed(run(graph, [x[0] for x in one], stop_after=operator)[op.outputs[0]])
        raise UsageError(f"model {model.name} has no operator {operator}")


def _records(graph: QuantGraph, values: Values, sample: int, step: int) -> Records:
    return tuple(
        OperatorRecord(op.index, op.kind, crc32(computed(values[op.outputs[0]])[sample]), step=step)
        for op in graph.operators
    )


def _largest_intermediate(graph: QuantGraph) -> int:
    """Elements of the largest array that one inference needs, to choose how many fit at once."""
    largest = 1
    for op in graph.operators:
        size = graph.output_of(op).nbytes
        if isinstance(op.params, Convolution):
            window = op.params.window
            shape = graph.tensors[op.inputs[0]].shape
            size = size // graph.output_of(op).shape[3] * window.kernel_h * window.kernel_w * shape[3]
        largest = max(largest, size)
    return largest

"""Where, by how much, in which pattern and why a device differs: the interpreter with one thing changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.graph.model import Convolution, Operator, QuantGraph
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.run import Run, Vectors
from pytest_quantcheck.runners.tflm import TflmRunner
from pytest_quantcheck.verdict.divergence import Divergence
from pytest_quantcheck.verdict.locate import locate

pytestmark = pytest.mark.host

Change = Callable[[QuantGraph], QuantGraph]


class Changed:
    """A device that runs another graph than it was given."""

    name = "changed"

    def __init__(self, change: Change) -> None:
        self._change = change
        self._runner = IntegerRunner()

    def _other(self, model: QuantizedModel) -> QuantizedModel:
        other = replace(model)
        other.__dict__["graph"] = self._change(model.graph)  # fills the cached property
        return other

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        run = self._runner.run(self._other(model), vectors, operators=operators)
        return replace(run, runner=self.name, model=model)

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:
        return self._runner.tensor(self._other(model), inputs, operator)


def change_params(kind: str, nth: int, **changes: Any) -> Change:
    """Change fields of the parameters of the nth operator of a kind; a function gets the old value."""

    def change(graph: QuantGraph) -> QuantGraph:
        chosen = [op for op in graph.operators if op.kind == kind][nth]
        old = chosen.params
        new = {key: v(getattr(old, key)) if callable(v) else v for key, v in changes.items()}
        return with_operator(graph, replace(chosen, params=replace(old, **new)))

    return change


def with_operator(graph: QuantGraph, changed: Operator) -> QuantGraph:
    operators = tuple(changed if op.index == changed.index else op for op in graph.operators)
    return replace(graph, operators=operators)


def change_constant(kind: str, nth: int, position: int, change: Callable[[Array], None]) -> Change:
    """Change a constant input (1: weights, 2: bias) of the nth operator of a kind."""

    def apply(graph: QuantGraph) -> QuantGraph:
        chosen = [op for op in graph.operators if op.kind == kind][nth]
        tensors = list(graph.tensors)
        index = chosen.inputs[position]
        data = np.array(tensors[index].data)
        change(data)
        tensors[index] = replace(tensors[index], data=data)
        return replace(graph, tensors=tuple(tensors))

    return apply


@pytest.fixture(scope="module")
def model() -> QuantizedModel:
    return demo_models()[0]


@pytest.fixture(scope="module")
def vectors() -> Samples:
    return demo_samples().take(range(12))


def find(model: QuantizedModel, vectors: Samples, change: Change) -> Divergence:
    device = Changed(change)
    found = locate(device.run(model, vectors), IntegerRunner().run(model, vectors), device)
    assert found is not None
    return found


def operator(model: QuantizedModel, kind: str, nth: int) -> Operator:
    return [op for op in model.graph.operators if op.kind == kind][nth]


def test_a_reference_that_our_interpreter_contradicts_is_asked_itself(
    model: QuantizedModel, vectors: Samples
) -> None:
    """The reference has other biases in one operator; our interpreter plays the device."""

    def raise_all(bias: Array) -> None:
        bias += 3000

    other, device = Changed(change_constant("CONV_2D", 1, 2, raise_all)), IntegerRunner()
    reference = other.run(model, vectors)
    assert reference.exact
    found = locate(device.run(model, vectors), reference, device, reference_runner=other)
    assert found is not None
    assert found.operator == operator(model, "CONV_2D", 1).index
    alone = locate(device.run(model, vectors), reference, device)
    assert alone is not None
    assert alone.cause == "unknown: no checksums per operator from changed"


def test_equal_outputs_have_no_divergence(model: QuantizedModel, vectors: Samples) -> None:
    device = Changed(lambda graph: graph)
    assert locate(device.run(model, vectors), IntegerRunner().run(model, vectors), device) is None


@pytest.mark.parametrize(
    ("kind", "nth", "changes", "cause"),
    [
        ("CONV_2D", 1, {"input_zero_point": lambda z: z + 1}, "input zero point"),
        ("CONV_2D", 1, {"input_zero_point": lambda z: z + 37}, "input zero point"),
        ("CONV_2D", 0, {"output_zero_point": lambda z: z - 3}, "output zero point"),
        ("DEPTHWISE_CONV_2D", 0, {"input_zero_point": 0}, "input zero point 0 instead of"),
        ("CONV_2D", 1, {"requantize": lambda r: replace(r, shift=r.shift + 1)}, "requantize: shift +1"),
        ("FULLY_CONNECTED", 0, {"input_zero_point": lambda z: z + 1}, "input zero point"),
        ("ADD", 0, {"output_zero_point": lambda z: z + 2}, "output zero point"),
        ("ADD", 0, {"input1_zero_point": lambda z: z + 5}, "input1 zero point"),
        (
            "CONV_2D",
            0,
            {"act_min": -128, "act_max": 127, "output_zero_point": lambda z: z + 4},
            "output zero point",
        ),
    ],
)
def test_a_changed_parameter_is_located_and_proven(
    model: QuantizedModel, vectors: Samples, kind: str, nth: int, changes: dict[str, Any], cause: str
) -> None:
    found = find(model, vectors, change_params(kind, nth, **changes))
    assert (found.operator, found.kind) == (operator(model, kind, nth).index, kind)
    assert found.cause.startswith(cause)
    assert f"gives all {found.size} elements that were seen" in found.evidence
    assert 0 < found.elements <= found.size
    assert sum(count for _, count in found.steps) == found.elements


def test_other_rounding_is_proven(model: QuantizedModel, vectors: Samples) -> None:
    found = find(
        model, vectors, change_params("CONV_2D", 0, requantize=lambda r: replace(r, rounding="single"))
    )
    assert found.cause == "requantize: single rounding instead of double"
    assert found.largest == 1


def test_one_changed_bias_is_one_channel(model: QuantizedModel, vectors: Samples) -> None:
    def change(bias: Array) -> None:
        bias[3] += 4000

    found = find(model, vectors, change_constant("CONV_2D", 0, 2, change))
    assert found.operator == operator(model, "CONV_2D", 0).index
    assert found.pattern == "one output channel only: channel 3"
    assert found.cause == "a weight, bias or multiplier of that channel"
    assert not found.evidence
    assert (found.code, found.ranking) == ("unknown", ())
    assert f"cause: unknown; suspicion: {found.cause}" in str(found)


def test_one_changed_weight_is_counted_and_measured(model: QuantizedModel, vectors: Samples) -> None:
    def change(weights: Array) -> None:
        weights[2, 0, 0, 5] ^= 0x40

    found = find(model, vectors, change_constant("CONV_2D", 1, 1, change))
    index = operator(model, "CONV_2D", 1).index
    one = vectors.names.index(found.sample)
    device = Changed(change_constant("CONV_2D", 1, 1, change))
    inputs = [device.run(model, vectors).inputs[0][one][None]]
    delta = device.tensor(model, inputs, index).astype(int) - IntegerRunner().tensor(model, inputs, index)
    assert found.elements == np.count_nonzero(delta)
    assert found.largest == np.abs(delta).max()
    assert found.pattern == "one output channel only: channel 2"


def test_the_text_names_operator_elements_sizes_pattern_and_cause(
    model: QuantizedModel, vectors: Samples
) -> None:
    found = find(model, vectors, change_params("CONV_2D", 1, input_zero_point=lambda z: z + 1))
    zero = operator(model, "CONV_2D", 1).params
    assert isinstance(zero, Convolution)
    lines = str(found).splitlines()
    assert lines[0].endswith(f"outputs differ, the first for sample {found.sample}")
    assert lines[1].startswith(f"first diverging: operator {found.operator} (CONV_2D), tensor ")
    assert lines[2].startswith(
        f"difference: {found.elements} of {found.size} elements, at most {found.largest} LSB: "
    )
    assert lines[4] == (
        f"likely cause: input zero point {zero.input_zero_point + 1} instead of {zero.input_zero_point}"
    )


def test_records_that_were_made_in_the_run_are_used(model: QuantizedModel, vectors: Samples) -> None:
    device = Changed(change_params("CONV_2D", 1, input_zero_point=lambda z: z + 1))
    run = device.run(model, vectors, operators=True)
    found = locate(run, IntegerRunner().run(model, vectors), device)
    assert found is not None
    assert found.kind == "CONV_2D"


def test_outputs_changed_on_the_way_are_told_from_wrong_operators(
    model: QuantizedModel, vectors: Samples
) -> None:
    device = Changed(lambda graph: graph)
    run = device.run(model, vectors)
    outputs = run.outputs[0].copy()
    outputs[5, 2] += 1
    found = locate(replace(run, outputs=(outputs,)), IntegerRunner().run(model, vectors), device)
    assert found is not None
    assert (found.sample, found.samples, found.operator, found.elements) == (vectors.names[5], 1, None, 1)
    assert "the output was changed after it was computed" in found.cause


def test_a_reference_that_is_not_exact_is_asked_for_its_own_tensors(
    model: QuantizedModel, vectors: Samples
) -> None:
    other = Changed(change_params("CONV_2D", 1, output_zero_point=lambda z: z + 2))
    reference = replace(other.run(model, vectors), exact=False)
    exact = IntegerRunner()
    found = locate(exact.run(model, vectors), reference, exact, reference_runner=other)
    assert found is not None
    assert (found.operator, found.evidence) == (operator(model, "CONV_2D", 1).index, "")
    blind = locate(exact.run(model, vectors), reference, exact)
    assert blind is not None
    assert (blind.operator, blind.cause) == (None, "unknown: no checksums per operator from changed")


def test_runs_of_other_vectors_cannot_be_compared(model: QuantizedModel, vectors: Samples) -> None:
    runner = IntegerRunner()
    with pytest.raises(UsageError, match="not the same vectors"):
        locate(runner.run(model, vectors), runner.run(model, vectors.take([0])), runner)


@pytest.mark.parametrize(("nth", "words"), [(0, "operator 0 (SPLIT)"), (1, "operator 0 (SPLIT), output 1")])
def test_each_output_of_an_operator_has_a_place_of_its_own(nth: int, words: str) -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 4, 8), scale=0.1, zero_point=0)
    first, second = writer.split(x, 2, 2)
    split = QuantizedModel("split", writer.finish([x], [writer.concatenation([second, first], 2)]))
    rows = Raw(np.random.default_rng(1).integers(-128, 128, (3, 4, 8), dtype=np.int8)[:, None])
    change = change_params("SPLIT", nth, offset=lambda offset: 4 - offset)
    device = Changed(change)
    found = locate(device.run(split, rows), IntegerRunner().run(split, rows), device)
    assert found is not None
    assert (found.operator, found.output, found.where) == (0, nth, words)
    assert found.elements > 8
    host = TflmRunner()
    run, tflm = (runner.run(split, rows, operators=True) for runner in (IntegerRunner(), host))
    assert [each.crc32 for each in run.operators[0]] == [each.crc32 for each in tflm.operators[0]]
    assert [each.index for each in run.operators[0]] == [each.index for each in tflm.operators[0]]
    one = [array[0] for array in run.inputs]
    index = run.operators[0][nth].index
    assert np.array_equal(IntegerRunner().tensor(split, one, index), host.tensor(split, one, index))

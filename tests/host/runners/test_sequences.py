"""Sequences: states go from step to step, begin anew with each sample, and are TFLM's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.graph.execute import crc32
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.litert import LitertReferenceRunner
from pytest_quantcheck.runners.tflm import TflmRunner
from pytest_quantcheck.verdict.gate import Gate
from pytest_quantcheck.verdict.locate import locate
from tests.streaming import keyword_spotter, speech

pytestmark = pytest.mark.host

DTYPES = pytest.mark.parametrize("dtype", ["int8", "int16"])


def records(run):
    return [[(each.index, each.step, each.crc32) for each in sample] for sample in run.operators]


@DTYPES
def test_every_step_and_every_operator_is_tflms(dtype):
    model, samples = keyword_spotter(dtype), speech(4, 9)
    ours, tflm = (runner.run(model, samples, operators=True) for runner in (IntegerRunner(), TflmRunner()))
    assert ours.steps == tflm.steps == (9,)
    assert ours.outputs[0].shape == (4, 9, 4)
    assert np.array_equal(ours.outputs[0], tflm.outputs[0])
    assert records(ours) == records(tflm)
    assert len(ours.operators[0]) == 9 * len(model.graph.operators)


@pytest.mark.parametrize("runner", [IntegerRunner, TflmRunner, LitertReferenceRunner])
def test_a_sample_does_not_depend_on_those_before_it(runner):
    model, samples = keyword_spotter(), speech(3, 6)
    whole = runner().run(model, samples).outputs[0]
    for order in ([2, 0], [1, 1, 2]):
        taken = Samples(samples.x[order])
        assert np.array_equal(runner().run(model, taken).outputs[0], whole[order])


@pytest.mark.parametrize("runner", [IntegerRunner, TflmRunner])
def test_the_state_matters_and_begins_with_its_first_value(runner):
    model, samples = keyword_spotter(), speech(2, 5)
    whole = runner().run(model, samples).outputs[0]
    alone = runner().run(model, Samples(samples.x[:, 3])).outputs[0]
    first = runner().run(model, Samples(samples.x[:, 0])).outputs[0]
    assert alone.shape == (2, 4)
    assert not np.array_equal(alone, whole[:, 3])
    assert np.array_equal(first, whole[:, 0])


@pytest.mark.parametrize("runner", [IntegerRunner, TflmRunner])
def test_a_tensor_of_a_sequence_is_that_of_its_last_step(runner):
    model, samples = keyword_spotter(), speech(1, 5)
    run = IntegerRunner().run(model, samples, operators=True)
    for each in run.operators[0][:: len(model.graph.operators) - 1]:
        tensor = runner().tensor(model, [run.inputs[0][0, : each.step + 1]], each.index)
        assert crc32(tensor) == each.crc32


def test_a_sequence_is_scored_by_its_last_step():
    model = keyword_spotter()
    samples = speech(8, 4)
    run = IntegerRunner().run(model, samples)
    labelled = Samples(samples.x, run.outputs[0][:, -1].argmax(axis=1))
    gate = Gate(reference=TflmRunner(), data=Dataset(labelled, labelled, "classification"))
    verdict = gate.check(replace(run, vectors=labelled), min_score=1.0)
    assert verdict.scores[0].value == 1.0


def test_a_step_that_differs_in_the_middle_is_no_exact_run_and_is_located():
    """A device that forgets ``hidden`` in step 3."""
    model, samples = keyword_spotter(), speech(2, 6)
    right = TflmRunner().run(model, samples)

    class Forgetful(IntegerRunner):
        def run(self, model, vectors, *, operators=False):
            run = super().run(model, vectors, operators=operators)
            early, late = (
                super(Forgetful, self).run(model, part, operators=operators) for part in cut(vectors)
            )
            joined = [np.concatenate(pair, axis=1) for pair in zip(early.outputs, late.outputs, strict=True)]
            moved = [tuple(replace(r, step=r.step + 3) for r in each) for each in late.operators]
            pairs = zip(early.operators, moved, strict=True)
            return replace(run, outputs=tuple(joined), operators=tuple(a + b for a, b in pairs))

        def tensor(self, model, inputs, operator):
            return super().tensor(model, [x[3:] if len(x) > 3 else x for x in inputs], operator)

    def cut(vectors):
        return (type(vectors)(x) for x in (vectors.inputs[0][:, :3], vectors.inputs[0][:, 3:]))

    run = Forgetful().run(model, samples)
    found = locate(run, right, Forgetful(), reference_runner=TflmRunner())
    assert found.sample == "000000, step 3"
    assert found.kind == "READ_VARIABLE"
    with pytest.raises(AssertionError, match=r"(?s)not the integers of tflm.*step 3.*READ_VARIABLE"):
        Gate(reference=TflmRunner(), device=Forgetful()).check(run, exact=True, allow_unjudged=True)


@pytest.mark.parametrize("shape", [(3, 10), (3, 0, 1, 10), (3, 2, 2, 10)])
def test_arrays_of_another_shape_are_refused_with_both_that_are_allowed(shape):
    with pytest.raises(
        UsageError, match=r"takes \(N, 1, 10\), or sequences of T steps \(N, T, 1, 10\), given"
    ):
        IntegerRunner().run(keyword_spotter(), Samples(np.zeros(shape, np.float32)))

"""What must not pass: scores of other vectors, stale runs, values that are no numbers, checks of nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.baselines.book import Book
from pytest_quantcheck.baselines.content import Content
from pytest_quantcheck.data.dataset import Dataset, Raw, Samples
from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.device import Device
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.runners.float_outputs import FloatOutputs
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.remembering import Remembering
from pytest_quantcheck.runners.run import Footprint, Run
from pytest_quantcheck.verdict.budget import Budget
from pytest_quantcheck.verdict.gate import Gate
from pytest_quantcheck.verdict.metrics import agreement, classification
from pytest_quantcheck.verdict.metrics.metric import Metric

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def model() -> QuantizedModel:
    return demo_models()[0]


@pytest.fixture(scope="module")
def samples() -> Samples:
    return demo_samples()


@pytest.fixture(scope="module")
def gate(samples: Samples) -> Gate:
    data = Dataset(samples.take([0]), samples)
    return Gate(reference=Remembering(exact_runner()), float_outputs=FloatOutputs(), data=data)


def on_board(model: QuantizedModel, vectors: Samples) -> Run:
    """A run that equals the reference bit for bit, as a board's does."""
    return replace(IntegerRunner().run(model, vectors), runner="board", device=Device(target="virtual"))


def test_noise_with_random_labels_inherits_no_score(gate, model, samples) -> None:
    rng = np.random.default_rng(1)
    noise = Samples(rng.random((30, 8, 8, 1), np.float32), rng.integers(0, 10, 30), samples.names[:30])
    with pytest.raises(AssertionError, match="min_score: FAILED"):
        gate.check(on_board(model, noise), min_score=0.9)


def test_images_of_the_test_set_with_wrong_labels_inherit_no_score(gate, model, samples) -> None:
    few = samples.take(range(30))
    moved = Samples(few.x, (few.y + 1) % 10, few.names)
    with pytest.raises(AssertionError, match="min_score: FAILED"):
        gate.check(on_board(model, moved), min_score=0.9)


def test_a_part_of_the_test_set_under_other_names_still_inherits(gate, model, samples) -> None:
    few = samples.take(range(30))
    verdict = gate.check(on_board(model, Samples(few.x, few.y)), min_score=0.9)
    assert (verdict.score.samples, verdict.score.inherited) == (540, gate.reference.name)


def test_samples_that_were_given_away_cannot_be_changed(samples) -> None:
    x, y = np.zeros((6, 3), np.float32), np.arange(6)
    given = Samples(x[1:4], y[1:4])
    for array in (given.x, given.y, x, y):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        Raw(np.zeros((2, 2), np.int8)).x[0] = 1


def test_vectors_of_other_content_are_run_again(model, samples) -> None:
    runner = Remembering(IntegerRunner())
    few = samples.take(range(3))
    first = runner.run(model, few)
    assert runner.run(model, Samples(few.x.copy(), few.y.copy(), few.names)) is first
    assert runner.run(model, Samples(few.x * 0.5, few.y, few.names)) is not first
    assert runner.run(model, Raw(first.inputs)) is not first


NAN = np.full((4, 3), np.nan, np.float32)


def test_an_output_that_is_no_number_agrees_with_nothing_and_is_right_about_nothing() -> None:
    assert agreement.agreement(NAN, NAN) == 0
    assert classification.accuracy(NAN, np.zeros(4, int)) == 0
    one = np.array([[0.1, np.inf, 0.2], [0.1, 0.7, 0.2]])
    assert classification.decisions(one).tolist() == [-1, 1]


class NoNumbers(FloatOutputs):
    """A float model that has gone wrong for one sample."""

    def __call__(self, model, samples):
        outputs = super().__call__(model, samples)[0].copy()
        outputs[2] = np.nan
        return (outputs,)


def test_a_float_model_that_gives_no_numbers_is_nothing_to_compare_with(gate, model, samples) -> None:
    broken = replace(gate, float_outputs=NoNumbers())
    run = exact_runner().run(model, samples)
    for asked in ({"max_drop": 0.0}, {"metric": "agreement"}):
        with pytest.raises(UsageError, match=f"sample {samples.names[2]} and 0 others"):
            broken.check(run, **asked)
    assert broken.check(run, min_score=0.9).score.float_value is None


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_score_that_is_no_number_is_an_error(gate, model, samples, value) -> None:
    with pytest.raises(UsageError, match=r"metric endless is (inf|-inf|nan), which no limit can judge"):
        gate.check(
            exact_runner().run(model, samples), metric=Metric("endless", lambda o, t: value), min_score=0
        )


@pytest.mark.parametrize("row", [[np.nan, 0, 0], [0, 0, 0], [1, 1, 1], [0, 1, 1], [np.inf, 0, 0]])
def test_a_one_hot_label_names_one_class_or_is_an_error(row) -> None:
    labels = np.eye(3)
    labels[1] = row
    with pytest.raises(UsageError, match=r"label 1 is \[.*\]; a one-hot label is finite and has one largest"):
        classification.accuracy(np.eye(3), labels)


def test_a_check_that_judges_nothing_is_an_error_that_says_what_to_ask_for(gate, model, samples) -> None:
    silent = replace(on_board(model, samples), exact=False, runtime="zeros 1")
    silent = replace(silent, outputs=(np.zeros_like(silent.outputs[0]),))
    with pytest.raises(
        UsageError, match=r"judged nothing .*Ask for something: max_drop=.*allow_unjudged=True"
    ):
        gate.check(silent)
    verdict = gate.check(silent, allow_unjudged=True)
    assert (verdict.passed, verdict.outcome) == (False, "unjudged")


def test_strict_makes_everything_that_is_not_judged_a_failure(gate, model, samples) -> None:
    budget = Budget({"latency_ms": 5})
    run = on_board(model, samples)
    assert replace(gate, budget=budget).check(run).not_judged
    with pytest.raises(AssertionError, match=r"latency_ms: FAILED: not judged, which --qc-strict forbids"):
        replace(gate, budget=budget, strict=True).check(run)


@pytest.mark.parametrize("limit", [float("inf"), float("nan"), 0, {}, {"esp32c3": float("inf")}])
def test_a_budget_that_limits_nothing_is_an_error(limit) -> None:
    with pytest.raises(UsageError, match="allowed: a"):
        Budget({"latency_ms": limit})


def test_how_far_and_how_many_are_both_told_and_both_limited(gate, model, samples) -> None:
    run = on_board(model, samples)
    outputs = run.outputs[0].copy()
    outputs[:, 3] = np.clip(outputs[:, 3].astype(int) + 1, -128, 127)
    off = replace(run, outputs=(outputs,), exact=False)
    text = str(gate.check(off, max_lsb=1).criteria[-1])
    assert "1 LSB from" in text
    assert "of 540 samples differ" in text
    assert "of the elements" in text
    with pytest.raises(AssertionError, match=r"max_differing: FAILED: .* of 540 samples differ"):
        gate.check(off, max_lsb=1, max_differing=0.05)
    assert gate.check(off, max_differing=0.999).passed


class Blank(FloatOutputs):
    """A float model of pictures that are all zero."""

    def __call__(self, model, samples):
        return (np.zeros((len(samples), 4, 4, 2), np.float32),)


def test_agreement_is_only_for_outputs_that_are_one_class_vector(gate, model) -> None:
    writer = TfliteWriter()
    given, made = (writer.tensor((1, 4, 4, 2), scale=0.1, name=name) for name in ("x", "y"))
    writer.operator("RELU", [given], [made])
    network = QuantizedModel("picture", writer.finish([given], [made]), float_model=model.float_model)
    blank = replace(gate, float_outputs=Blank())
    picture = replace(on_board(network, Samples(np.zeros((30, 4, 4, 2), np.float32))), exact=False)
    with pytest.raises(UsageError, match="not one class vector each; give metric="):
        blank.check(picture, min_score=0.5)
    verdict = blank.check(picture, allow_unjudged=True)
    assert [c.name for c in verdict.not_judged] == ["exact", "score"]


RUNS = {
    "samples are missing": lambda run, out: replace(run, outputs=(out[:-1],)),
    "one for all": lambda run, out: replace(run, outputs=(out[:1],)),
    "an output too many": lambda run, out: replace(run, outputs=(out, out)),
    "no output": lambda run, out: replace(run, outputs=()),
    "a list": lambda run, out: replace(run, outputs=(out.tolist(),)),
    "another type": lambda run, out: replace(run, outputs=(out.astype(np.float32),)),
    "another shape": lambda run, out: replace(run, outputs=(out[:, :5],)),
    "counters of a few": lambda run, out: replace(run, counters=(5, 5)),
    "counters that stand still": lambda run, out: replace(run, counters=(0,) * len(run)),
    "no bytes": lambda run, out: replace(run, footprint=Footprint(arena=0)),
    "no run": lambda run, out: out,
}


@pytest.mark.parametrize("broken", RUNS.values(), ids=list(RUNS))
def test_a_run_that_is_not_whole_is_an_error(gate, model, samples, broken) -> None:
    few = samples.take(range(30))
    run = replace(on_board(model, few), exact=False)
    with pytest.raises(UsageError, match="allowed: "):
        gate.check(broken(run, run.outputs[0]), metric=lambda outputs, truth: 1.0, min_score=0.5)


@pytest.mark.parametrize(
    "asked",
    [
        {"max_drop": 1},
        {"max_drop": 10**400},
        {"min_score": 0},
        {"max_differing": 1.0},
        {"max_lsb": 255},
        {"baseline": {"accuracy": 1}},
        {"baseline": {"accuracy": "100pp"}},
        {"metric": 3, "min_score": 0.5},
        {"min_score": 0.5, "allow_unjudged": "no"},
        {"min_score": 0.5, "name": 3},
    ],
    ids=str,
)
def test_a_limit_that_nothing_can_break_is_refused(model, samples, asked) -> None:
    few = samples.take(range(30))
    gate = Gate(
        reference=Remembering(exact_runner()),
        float_outputs=FloatOutputs(),
        baselines=Book("test", "case", Content),
    )
    run = replace(on_board(model, few), exact=False)
    with pytest.raises(UsageError, match="allowed: "):
        gate.check(run, **asked)


def mean_squared_error(outputs, truth) -> float:
    return float(np.square(outputs - np.eye(10)[truth]).mean())


def test_a_loss_is_not_taken_for_a_score(gate, model, samples) -> None:
    run = on_board(model, samples)
    zeros = replace(run, exact=False, outputs=(np.full_like(run.outputs[0], -128),))
    with pytest.raises(UsageError, match="higher_is_better=False"):
        gate.check(zeros, metric=mean_squared_error, max_drop=0.01)
    with pytest.raises(AssertionError, match="max_drop: FAILED"):
        gate.check(zeros, metric=Metric("mse", mean_squared_error, higher_is_better=False), max_drop=0.01)


def test_nothing_is_lost_to_a_float_model_that_is_quantized_itself(gate, model, samples) -> None:
    itself = replace(model, float_model=model.artefact)
    with pytest.raises(UsageError, match="is quantized itself"):
        gate.check(on_board(itself, samples), max_drop=0)


@pytest.mark.parametrize("way", ["view", "buffer", "flag", "labels"])
def test_vectors_that_change_behind_their_back_are_an_error(gate, model, samples, way) -> None:
    buffer = bytearray(samples.x.tobytes())
    x, y = samples.x.copy(), samples.y.copy()
    if way == "buffer":
        x = np.frombuffer(buffer, np.float32).reshape(x.shape)
    view, labels = x[:], y[:]
    given = Samples(x, y)
    gate.reference.run(model, given)
    if way == "view":
        view[:] = 0
    elif way == "buffer":
        buffer[:] = bytes(len(buffer))
    elif way == "labels":
        labels[:] = 0
    else:
        x.setflags(write=True)
        x[:] = 0
    with pytest.raises(UsageError, match="were changed after a run with them"):
        gate.check(gate.reference.run(model, given), min_score=0.9)


def test_what_later_runs_are_compared_with_cannot_be_changed(model, samples) -> None:
    run = Remembering(IntegerRunner()).run(model, samples)
    with pytest.raises(ValueError, match="read-only"):
        run.outputs[0][:] = 0


def test_outputs_that_are_no_class_vector_have_no_accuracy() -> None:
    picture, labels = np.zeros((3, 4, 4, 2)), np.zeros(3, int)
    for score in (classification.accuracy, classification.macro_f1):
        with pytest.raises(UsageError, match="not one class vector each"):
            score(picture, labels)
    with pytest.raises(UsageError, match="not one class vector each"):
        agreement.agreement(picture, picture)
    assert classification.accuracy(np.zeros((3, 1, 1, 2)), labels) == 1.0

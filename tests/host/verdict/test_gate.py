"""The gate: every criterion is judged, then one error lists all that failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.dataset import Dataset, Raw, Samples
from pytest_quantcheck.data.tasks.registry import TASKS
from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import device as runners_device
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.runners.float_outputs import FloatOutputs
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.remembering import Remembering
from pytest_quantcheck.runners.run import Run, Vectors
from pytest_quantcheck.verdict.baseline import measured
from pytest_quantcheck.verdict.budget import Budget
from pytest_quantcheck.verdict.gate import Gate
from pytest_quantcheck.verdict.metrics.classification import accuracy
from pytest_quantcheck.verdict.metrics.metric import Metric
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.verdict.verdict import Verdict

pytestmark = pytest.mark.host


class Device(IntegerRunner):
    """The interpreter under the name of a board, counting instructions; ``spoil`` may change its outputs."""

    name = "board"

    def __init__(self, spoil: Callable[[Array], None] = lambda _: None) -> None:
        self.spoil = spoil

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        run = super().run(model, vectors, operators=operators)
        outputs = run.outputs[0].copy()
        self.spoil(outputs)
        counters = tuple(1000 + k for k in range(len(run)))
        device = runners_device.Device(target="virtual", unit="instructions")
        return replace(run, outputs=(outputs,), counters=counters, device=device)


@pytest.fixture(scope="module")
def model() -> QuantizedModel:
    return demo_models()[0]


@pytest.fixture(scope="module")
def samples() -> Samples:
    return demo_samples()


@pytest.fixture(scope="module")
def few(samples: Samples) -> Samples:
    return samples.take(range(40))


@pytest.fixture(scope="module")
def make(samples: Samples) -> Callable[..., Gate]:
    shared = {"reference": Remembering(exact_runner()), "float_outputs": FloatOutputs()}
    return lambda **changes: Gate(**{**shared, **changes})


def wrong_classes(count: int) -> Callable[[Array], None]:
    """The first ``count`` samples get the class after the right one."""

    def spoil(outputs: Array) -> None:
        outputs[:count] = np.roll(outputs[:count], 1, axis=-1)

    return spoil


def test_exactness_is_asked_for_where_both_sides_promise_it(make, model, few) -> None:
    verdict = make().check(Device().run(model, few))
    assert verdict.exact is True
    assert [c.name for c in verdict.criteria] == ["exact"]


def test_a_run_that_promises_nothing_says_that_exactness_was_not_judged(make, model, few) -> None:
    run = replace(Device(wrong_classes(3)).run(model, few), exact=False, runtime="theirs 2")
    verdict = make().check(run, allow_unjudged=True)
    promise = (
        f"exact: not judged: the runtime theirs 2 does not promise the integers of {exact_runner().name}"
    )
    assert (verdict.exact, verdict.outcome, list(verdict.row().not_judged)) == (None, "unjudged", [promise])
    assert make().check(run, exact=False, allow_unjudged=True).criteria == ()
    with pytest.raises(AssertionError, match="3 of 40 outputs are not those of"):
        make().check(run, exact=True)


def test_exactness_can_be_waived(make, model, few) -> None:
    assert make().check(Device(wrong_classes(1)).run(model, few), exact=False, min_score=0.5).passed


def test_all_failed_criteria_are_in_one_error_with_their_context(make, model, few) -> None:
    device = Device(wrong_classes(30))
    gate = make(device=device, budget=Budget({"instructions": 500, "latency_ms": 3}))
    with pytest.raises(AssertionError) as error:
        gate.check(
            replace(device.run(model, few), log="serial.log"),
            max_lsb=2,
            max_drop=0.01,
            min_score=0.9,
            name="digits on paper",
        )
    lines = str(error.value).splitlines()
    assert lines[0] == "digits on paper on board (virtual): 5 of 6 criteria failed"
    heads = [line.split(":")[0].strip() for line in lines if line.startswith("  ") and line[2] != " "]
    assert heads == [
        "exact",
        "max_lsb",
        "min_score",
        "max_drop",
        "instructions",
        "latency_ms",
        "score",
        "warning",  # this device counts fewer instructions than the model has multiplications
        "serial log",
    ]
    assert lines[2].endswith("30 of 40 outputs differ, the first for sample " + few.names[0])


def test_every_verdict_is_recorded_also_the_failed_ones(make, model, few) -> None:
    verdicts: list[Verdict] = []
    gate = make(record=verdicts.append)
    gate.check(Device().run(model, few), name="good")
    with pytest.raises(AssertionError):
        gate.check(Device(wrong_classes(2)).run(model, few), name="bad")
    rows = [verdict.row() for verdict in verdicts]
    assert [(row.name, row.outcome, row.exact) for row in rows] == [
        ("good", "pass", True),
        ("bad", "regression", False),
    ]
    assert rows[0].counter == 1019.5
    assert rows[1].failed == ("exact: FAILED: 2 of 40 outputs are not those of " + gate.reference.name,)


@pytest.mark.parametrize(
    ("wrong", "max_drop", "passed"), [(0, 0.0, True), (4, 0.1, True), (5, 0.1, False), (1, 0.0, False)]
)
def test_the_observed_drop_decides(make, model, samples, wrong, max_drop, passed) -> None:
    outputs = IntegerRunner().run(model, samples).outputs[0]
    vectors = samples.take(np.flatnonzero(outputs.argmax(axis=1) == samples.y)[:40])
    run = Device(wrong_classes(wrong)).run(model, vectors)
    gate = make()
    if passed:
        verdict = gate.check(run, exact=False, max_drop=max_drop)
        assert verdict.score.drop == pytest.approx(wrong / 40)
        assert verdict.score.paired.lost == wrong
    else:
        with pytest.raises(AssertionError, match="max_drop: FAILED: accuracy dropped by"):
            gate.check(run, exact=False, max_drop=max_drop)


@pytest.mark.parametrize(
    "asked",
    [
        {"max_drop": np.float64(0.01)},
        {"min_score": np.float32(0.9)},
        {"min_score": 0.9, "metric": lambda outputs, truth: np.mean(outputs.argmax(axis=1) == truth)},
        {"max_drop": 0.01, "metric": lambda outputs, truth: np.float32(accuracy(outputs, truth))},
    ],
)
def test_numbers_of_numpy_decide_like_pythons_own(make, model, few, asked) -> None:
    verdicts: list[Verdict] = []
    with pytest.raises(AssertionError, match="FAILED"):
        make(record=verdicts.append).check(Device(wrong_classes(30)).run(model, few), exact=False, **asked)
    row = verdicts[0].row()
    assert row.outcome == "regression"
    assert type(row.score.value) is float


def test_an_argument_that_check_does_not_know_is_an_error_of_usage(make, model, few) -> None:
    with pytest.raises(UsageError, match=r"max_dorp=...\) is not known; allowed: exact, .*, name$"):
        make().check(IntegerRunner().run(model, few), **{"max_dorp": 0.1})


def test_a_metric_that_gives_no_number_is_named(make, model, few) -> None:
    with pytest.raises(UsageError, match="metric each returned ndarray"):
        make().check(Device().run(model, few), metric=Metric("each", lambda outputs, _: outputs))


@pytest.mark.parametrize(
    ("wrong", "max_drop", "words"),
    [(0, 0.02, None), (100, 0.02, "the drop lies in"), (8, 0.02, "too few vectors (540)")],
)
def test_with_confidence_the_interval_decides(make, model, samples, wrong, max_drop, words) -> None:
    run = Device(wrong_classes(wrong)).run(model, samples)
    if words is None:
        assert make().check(run, max_drop=max_drop, confidence=0.95).passed
        return
    with pytest.raises(AssertionError) as error:
        make().check(run, exact=False, max_drop=max_drop, confidence=0.95)
    assert f"max_drop: FAILED: {words}" in str(error.value)


def test_an_exact_run_on_few_vectors_inherits_the_score_on_all(make, model, samples, few) -> None:
    data = Dataset(samples.take([0]), samples)
    verdict = make(data=data).check(Device().run(model, few), min_score=0.97)
    assert (verdict.score.samples, verdict.score.inherited) == (540, make().reference.name)
    spoiled = make(data=data)
    with pytest.raises(AssertionError):
        spoiled.check(Device(wrong_classes(1)).run(model, few), min_score=0.97)


def test_without_labels_agreement_with_the_float_model_is_the_score(make, model, few) -> None:
    vectors = Samples(few.x, None, few.names)
    verdict = make().check(Device().run(model, vectors), min_score=0.9)
    assert verdict.score.metric.name == "agreement"
    assert str(verdict.score).startswith("agreement ")
    assert "float" not in str(verdict.score)


def test_a_metric_where_less_is_better_is_judged_the_other_way(make, model, few) -> None:
    vectors = Samples(few.x, np.eye(10, dtype=np.float32)[few.y], few.names)
    run = Device().run(model, vectors)
    assert make().check(run, metric="rmse", min_score=0.5).score.value < 0.5
    with pytest.raises(AssertionError, match=r"rmse .*, at most 1e-06 wanted"):
        make().check(run, metric="rmse", min_score=1e-6)


def test_a_metric_of_ones_own_is_called_with_float_outputs_and_labels(make, model, few) -> None:
    def shapes(outputs: Array, truth: Array) -> float:
        assert outputs.dtype == np.float32
        assert len(outputs) == len(truth) == 40
        return 0.5

    assert make().check(Device().run(model, few), metric=shapes).score.value == 0.5
    assert make().check(Device().run(model, few), metric=Metric("mine", shapes)).score.metric.name == "mine"


RANDOM = "the calibration was random: it gives footprints and exactness only"


@pytest.mark.parametrize(
    ("change", "asked", "message"),
    [
        ("random", {"max_drop": 0.1}, RANDOM),
        ("random", {"min_score": 0.1}, RANDOM),
        ("raw", {"min_score": 0.1}, "the vectors are raw integers without labels"),
        ("unlabelled", {"metric": "accuracy"}, "the vectors have no labels"),
        ("no float", {"max_drop": 0.1}, "compared with the float model, but there is no float model; give"),
        ("own", {"exact": True}, "the run is the reference's own"),
        ("none", {"max_lsb": 3}, "there is no reference"),
        ("", {"confidence": 0.95}, "give both"),
        ("", {"confidence": 95, "max_drop": 0.1}, "confidence=95 is out of range"),
        ("", {"max_lsb": -1}, "max_lsb=-1 is out of range"),
        ("", {"max_drop": float("nan")}, "max_drop=nan is out of range"),
        ("", {"max_drop": "0.01"}, "max_drop='0.01' is out of range; allowed: a finite number"),
        ("", {"max_drop": True}, "max_drop=True is out of range; allowed: a finite number"),
        ("", {"confidence": "0.95", "max_drop": 0.1}, "confidence='0.95' is out of range"),
        ("", {"exact": 1}, "exact=1 is not known"),
        ("", {"metric": "f1"}, "'f1' is not known"),
    ],
)
def test_what_cannot_be_judged_is_an_error_when_asked_for(make, model, few, change, asked, message) -> None:
    vectors: Vectors = few
    runner = Device()
    gate = make()
    if change == "random":
        model = replace(model, config=replace(model.config, calibration=Calibration("random", 100)))
    elif change == "raw":
        vectors = Raw(np.zeros((3, 8, 8, 1), np.int8))
    elif change == "unlabelled":
        vectors = Samples(few.x)
    elif change == "no float":
        model = replace(model, float_model=b"")
    elif change == "own":
        gate = make(reference=runner)
    elif change == "none":
        gate = make(reference=None)
    with pytest.raises(UsageError, match="(?s)" + message.replace("(", r"\(")):
        gate.check(runner.run(model, vectors), **asked)


def test_random_calibration_is_counted_as_not_judged(make, model, few) -> None:
    chance = replace(model, config=replace(model.config, calibration=Calibration("random", 100)))
    verdict = make().check(Device().run(chance, few))
    assert verdict.exact is True
    assert [str(c) for c in verdict.not_judged] == ["accuracy: not judged: the calibration was random"]


def test_the_reference_runs_once_for_the_same_model_and_vectors(model, few) -> None:
    class Counting(IntegerRunner):
        runs: Sequence[bool] = ()

        def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
            self.runs = (*self.runs, operators)
            return super().run(model, vectors, operators=operators)

    inner = Counting()
    runner = Remembering(inner)
    assert runner.run(model, few) is runner.run(model, few)
    assert runner.run(model, few.take([0])) is not runner.run(model, few)
    assert runner.run(model, few, operators=True).operators
    assert inner.runs == (False, False, True)


def test_of_several_outputs_the_score_says_which_it_is_of(make, model, samples) -> None:
    two = two_heads()
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    run = IntegerRunner().run(two, Samples(x, np.array([0, 1, 2, 0])))
    verdict = make().check(run, min_score=0.01)
    (left,) = verdict.not_judged
    assert str(left) == (
        "other_outputs: not judged: 1 of 2 outputs have no truth (Samples.y as a tuple gives one each): "
        "right; exactness covers all"
    )
    assert [score.name for score in verdict.scores] == ["accuracy of left"]


def test_truth_for_each_output_gives_a_score_for_each(make) -> None:
    two = two_heads()
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    left, right = (output.argmax(axis=1) for output in IntegerRunner().run(two, Samples(x)).outputs)
    right[0] = (right[0] + 1) % 3
    verdict = make().check(IntegerRunner().run(two, Samples(x, (left, right))), min_score=0.5)
    assert [(score.name, score.value) for score in verdict.scores] == [
        ("accuracy of left", 1.0),
        ("accuracy of right", 0.75),
    ]
    assert [c.name for c in verdict.criteria][1:] == ["min_score of left", "min_score of right"]
    with pytest.raises(AssertionError, match="min_score of right: FAILED"):
        make().check(verdict.run, min_score=0.8)


def two_heads() -> QuantizedModel:
    """FULLY_CONNECTED twice from one input: outputs ``left`` and ``right``, three classes each."""
    writer = TfliteWriter()
    x = writer.tensor((1, 3), scale=1 / 128, name="x")
    heads = []
    for name, step in (("left", 1), ("right", -1)):
        weights = writer.tensor((3, 3), scale=0.01, data=np.eye(3, dtype=np.int8)[::step] * 100)
        heads.append(writer.tensor((1, 3), scale=1 / 64, name=name))
        writer.operator("FULLY_CONNECTED", [x, weights, None], [heads[-1]], FusedActivationFunction=0)
    return QuantizedModel("two", writer.finish([x], heads))


def of_heads(outputs: int, size: int = 3) -> QuantizedModel:
    """As ``two_heads``, with so many outputs of ``size`` values from an input of as many."""
    writer = TfliteWriter()
    x = writer.tensor((1, size), scale=1 / 64, name="x")
    heads = []
    for name in range(outputs):
        weights = writer.tensor((size, size), scale=0.01, data=np.eye(size, dtype=np.int8) * 100)
        heads.append(writer.tensor((1, size), scale=1 / 64, name=f"head{name}"))
        writer.operator("FULLY_CONNECTED", [x, weights, None], [heads[-1]], FusedActivationFunction=0)
    return QuantizedModel("copy", writer.finish([x], heads))


def test_patches_vote_for_their_clip_and_both_scores_are_shown(make) -> None:
    x = np.float32([[0.9, 0.1, 0], [0.1, 0.4, 0.2], [0, 0.5, 0.6], [0, 0.2, 0.1]])
    samples = Samples(x, np.array([0, 0, 1, 1]), ["a#0", "a#1", "b#0", "b#1"])
    data = Dataset(samples, samples, task="audio_events", classes=("dog", "rain", "siren"))
    verdict = make(data=data).check(IntegerRunner().run(of_heads(1), samples), min_score=1)
    clip, patch = verdict.scores
    assert str(clip) == "clip_accuracy 100.00% on 2 clips"
    assert str(patch) == "patch_accuracy 50.00% on 4 samples"
    assert [c.name for c in verdict.criteria if c.passed] == ["exact", "min_score"]
    assert clip.of.names == ("a", "b")
    row = verdict.row()
    assert [each.title for each in row.score.detail] == ["per class", "confusion matrix"]
    assert row.score.detail[0].names == ("dog", "rain", "siren")
    assert row.score.observation == "clip"
    assert Row.from_dict(json.loads(json.dumps(row.to_dict()))) == row
    kept = measured(verdict.run, verdict.scores, len(samples))
    by_clip, by_patch = kept["clip_accuracy"], kept["patch_accuracy"]
    assert dict(zip(by_clip.value.vectors.names, by_clip.value.right, strict=True)) == {"a": True, "b": True}
    assert (len(by_patch.value.vectors), by_clip.part, by_patch.part) == (4, False, False)


def test_an_autoencoder_is_judged_by_the_order_of_its_errors(make) -> None:
    """The largest int8 step is 127 / 64: larger inputs are cut off, and badly reconstructed."""
    generator = np.random.default_rng(0)
    x = generator.uniform(-1, 1, (40, 3)).astype(np.float32)
    x[::2] += 4
    samples = Samples(x, np.arange(40) % 2 == 0)
    gate = make(data=Dataset(samples, samples, task="anomaly"))
    verdict = gate.check(IntegerRunner().run(of_heads(1), samples), min_score=0.99)
    assert [(score.name, score.value) for score in verdict.scores] == [("roc_auc", 1), ("pauc", 1)]
    flipped = Samples(x, np.arange(40) % 2)
    with pytest.raises(AssertionError, match=r"min_score: FAILED: roc_auc 0.00%, at least 99.00% wanted"):
        gate.check(IntegerRunner().run(of_heads(1), flipped), min_score=0.99)
    normal = Samples(x, np.zeros(40, int))
    with pytest.raises(UsageError, match="metric roc_auc has no value: it needs normal and anomalous"):
        gate.check(IntegerRunner().run(of_heads(1), normal), min_score=0.99)


def test_boxes_from_several_outputs_are_one_prediction_and_one_score(make) -> None:
    """The decoder of the user's puts two outputs together; nothing is left that had no truth."""

    def decode(outputs: tuple[Array, ...], inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        boxes, other = outputs
        assert np.array_equal(inputs[0], x)
        score = other[:, :1]
        return (np.hstack([boxes, score, np.zeros_like(score)])[:, np.newaxis],)

    x = np.float32([[0, 0, 1, 1], [0.25, 0, 1, 1], [0.5, 0, 1, 1]])
    truth = np.float32([[[0, 0, 1, 1, 0]], [[0.25, 0, 1, 1, 0]], [[0, 0, 1, 0.25, 0]]])
    samples = Samples(x, truth)
    task = replace(TASKS["detection"], decode=decode)
    gate = make(data=Dataset(samples, samples, task=task, classes=("cat",)))
    verdict = gate.check(IntegerRunner().run(of_heads(2, 4), samples), min_score=0.3)
    assert [score.name for score in verdict.scores] == ["map", "map50", "map75"]
    assert verdict.not_judged == ()
    assert str(verdict.scores[1]).endswith(" on 3 images")
    (table,) = verdict.row().scores[0].detail
    assert (table.names, table.rows[0][3]) == (("cat",), 3)
    with pytest.raises(AssertionError, match="min_score: FAILED: map "):
        gate.check(verdict.run, min_score=0.9)


@pytest.mark.parametrize("name", ["macro_f1", "roc_auc", "map", "miou", "clip_accuracy", "top3"])
def test_outputs_of_the_float_model_are_no_labels(make, model, few, name) -> None:
    run = Device().run(model, Samples(few.x, None, few.names))
    with pytest.raises(UsageError, match="the vectors have no labels"):
        make().check(run, metric=name)


def test_confidence_asks_the_bootstrap_where_nothing_is_right_or_wrong(make, model, samples) -> None:
    run = Device(wrong_classes(8)).run(model, samples)
    asked = {"exact": False, "metric": "macro_f1", "confidence": 0.95}
    assert make().check(run, max_drop=0.1, **asked).passed
    with pytest.raises(AssertionError, match="max_drop: FAILED: too few vectors"):
        make().check(run, max_drop=0.02, **asked)
    with pytest.raises(AssertionError, match="max_drop: FAILED: the drop lies in"):
        make().check(Device(wrong_classes(200)).run(model, samples), max_drop=0.02, **asked)


def test_a_low_score_with_the_right_integers_says_why(make, model, few) -> None:
    bright = Samples(few.inputs[0] * 255, few.y, few.names)
    gate = make(data=Dataset(bright.take([]), bright))
    found: list[Verdict] = []
    gate.record = found.append
    with pytest.raises(AssertionError, match="divided by 255") as error:
        gate.check(IntegerRunner().run(model, bright), min_score=0.9)
    assert "what to do: Apply the training's preprocessing" in str(error.value)
    assert [each.code for each in found[0].row().causes] == ["preprocessing"]


def test_a_score_that_is_good_enough_is_not_explained(make, model, few) -> None:
    bright = Samples(few.inputs[0] * 255, few.y, few.names)
    gate = make(data=Dataset(bright.take([]), bright))
    assert gate.check(IntegerRunner().run(model, bright), min_score=0.01).causes == ()

"""Suspicious models and data: each is found on the real digits, and clean ones are not accused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import isclose

import numpy as np
import pytest
from scipy.stats import binomtest

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.subset import subset
from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.runners.float_outputs import FloatOutputs
from pytest_quantcheck.verdict.gate import Gate
from pytest_quantcheck.verdict.sanity.check import Sanity
from pytest_quantcheck.verdict.sanity.labels import label_findings, tail
from pytest_quantcheck.verdict.sanity.preprocessing import preprocessing_findings

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def model() -> QuantizedModel:
    return demo_models()[0]


@pytest.fixture(scope="module")
def samples() -> Samples:
    return demo_samples()


@pytest.fixture(scope="module")
def sanity() -> Sanity:
    return Sanity(FloatOutputs())


def dataset(test: Samples, **more) -> Dataset:
    return Dataset(test.take([0]), test, **more)


def found(sanity: Sanity, model: QuantizedModel, data: Dataset) -> dict[str, str]:
    return {each.code: f"{each.sentence} {each.remedy}" for each in sanity.findings(model, data)}


def test_good_data_are_not_accused(sanity, model, samples) -> None:
    for each in demo_models():
        assert not found(sanity, each, dataset(samples, input_range=(0, 1)))
    assert not found(sanity, model, dataset(samples.take(range(30))))
    assert not found(sanity, model, dataset(Samples(samples.x, None, samples.names)))


def test_two_classes_in_each_others_place_are_named(sanity, model, samples) -> None:
    swapped = samples.y.copy()
    swapped[samples.y == 3], swapped[samples.y == 8] = 8, 3
    names = tuple(f"digit_{k}" for k in range(10))
    text = found(sanity, model, dataset(Samples(samples.x, swapped, samples.names), classes=names))[
        "label_order"
    ]
    assert "output 3 meaning label 8 (digit_8), output 8 meaning label 3 (digit_3)" in text


def test_labels_that_are_all_moved_are_named(sanity, model, samples) -> None:
    text = found(sanity, model, dataset(Samples(samples.x, (samples.y + 1) % 10, samples.names)))[
        "label_order"
    ]
    assert "every label moved by 1 (output 0 means label 1)" in text


def test_a_float_model_at_chance_is_named(sanity, model, samples) -> None:
    labels = np.random.default_rng(3).permutation(samples.y)
    text = found(sanity, model, dataset(Samples(samples.x, labels, samples.names)))["float_model_at_chance"]
    assert "not better than naming the most frequent class" in text


def test_a_float_model_no_better_than_the_most_frequent_class_is_named() -> None:
    """Nine of ten samples are of one class: a model that is right on nine of ten says nothing."""
    labels = np.array(([0] * 9 + [1]) * 20)
    named = np.zeros(200, int)
    named[:5] = 1
    (finding,) = label_findings(named, labels, 4, ())
    assert finding.code == "float_model_at_chance"
    assert "right on 175 of 200 samples (87.5%), which is not better" in finding.sentence
    assert "the most frequent class (90.0%)" in finding.sentence
    assert not list(label_findings(labels, labels, 4, ()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: np.swapaxes(x, 1, 2), "transposed"),
        (lambda x: x * 255, "divided by 255"),
        (lambda x: x * 2 - 1, "mapped from -1..1 to 0..1"),
    ],
    ids=["transposed", "255", "-1..1"],
)
def test_another_preprocessing_that_would_be_better_is_named(sanity, model, samples, change, words) -> None:
    changed = Samples(np.ascontiguousarray(change(samples.x)), samples.y, samples.names)
    assert f"with the samples {words}" in found(sanity, model, dataset(changed))["preprocessing"]


UNDONE = [  # what was done to the samples, and the words that name its way back
    ("divided by 255", lambda x: x * 255),
    ("mapped by x / 127.5 - 1", lambda x: (x + 1) * 127.5),
    ("multiplied by 255", lambda x: x / 255),
    ("mapped by (x + 1) * 127.5", lambda x: x / 127.5 - 1),
    ("transposed", lambda x: np.swapaxes(x, 1, 2)),
    ("reversed in channel order", lambda x: x[..., ::-1]),
]


@pytest.mark.parametrize(("words", "done"), UNDONE, ids=[words for words, _ in UNDONE])
def test_each_usual_mistake_of_preprocessing_is_tried_on_colour_pictures(words, done) -> None:
    """A model that knows a picture when it is given as in training, and is wrong about any other."""
    pictures = np.random.default_rng(4).uniform(-0.7, 0.9, (60, 6, 6, 3)).astype(np.float32)

    def right(given: Samples) -> np.ndarray:
        return np.isclose(given.x, pictures, atol=1e-4).reshape(60, -1).all(axis=1)

    (finding,) = preprocessing_findings(Samples(done(pictures), np.zeros(60, int)), right)
    assert f"with the samples {words}" in finding.sentence
    assert "right on 0.0%" in finding.sentence
    assert "right on 100.0% (tried on the float model)" in finding.sentence
    assert not list(preprocessing_findings(Samples(pictures, np.zeros(60, int)), right))


def test_samples_outside_the_stated_and_the_calibrated_range_are_counted(sanity, model, samples) -> None:
    bright = Samples(samples.x * 4, samples.y, samples.names)
    texts = found(sanity, model, dataset(bright, input_range=(0, 1)))
    share = float((samples.x * 4 > 1).mean())
    assert f"{share:.2%} of the test values lie outside input_range 0 to 1" in texts["outside_input_range"]
    step = 1 / 255  # of the input: what rounds to its last value is not clipped
    clipped = float((samples.x * 4 > 1 + step / 2).mean())
    assert texts["outside_calibrated_range"].startswith(f"{clipped:.1%} of the test values of input ")
    assert "are clipped: the model was calibrated for 0 to 1" in texts["outside_calibrated_range"]
    edges = found(sanity, demo_models()[-1], dataset(bright))
    assert "outside_calibrated_range" in edges, demo_models()[-1].id


def test_integers_given_as_floats_are_named(sanity, model, samples) -> None:
    pixels = Samples((samples.x * 255).astype(np.uint8), samples.y, samples.names)
    assert "uint8 from 0 to 255" in found(sanity, model, dataset(pixels))["integer_samples"]


def test_findings_stand_in_the_verdict_and_fail_under_strict(sanity, model, samples) -> None:
    moved = Samples(samples.x, (samples.y + 1) % 10, samples.names)
    gate = Gate(float_outputs=FloatOutputs(), data=dataset(moved), sanity=sanity)
    run = exact_runner().run(model, moved)
    verdict = gate.check(run, max_drop=0.01)
    assert "label_order" in {each.code for each in verdict.findings}
    assert verdict.row().findings[-1].startswith("label_order: ")
    with pytest.raises(AssertionError, match="label_order: FAILED: The float model is right on"):
        replace(gate, strict=True).check(run, max_drop=0.01)


@pytest.mark.parametrize(
    ("count", "right", "chance"), [(20, 3, 0.1), (540, 70, 0.12), (200, 0, 0.5), (50, 50, 0.9)]
)
def test_the_binomial_tail_is_scipys(count: int, right: int, chance: float) -> None:
    exact = binomtest(right, count, chance, alternative="greater").pvalue
    assert isclose(tail(count, right, Fraction(chance)), exact, rel_tol=1e-9)


def test_a_few_vectors_are_of_all_classes_whatever_the_order(samples) -> None:
    order = np.argsort(samples.y, kind="stable")  # as a folder per class is read
    by_class = samples.take(order)
    chosen = by_class.take(subset(by_class, 20))
    assert set(chosen.y.tolist()) == set(range(10))
    shares = np.bincount(samples.y) * 20 / len(samples)
    assert (np.abs(np.bincount(chosen.y) - shares) < 1).all()
    assert set(chosen.names) == set(samples.take(subset(samples, 20)).names)
    shuffled = samples.take(np.random.default_rng(1).permutation(len(samples)))
    assert set(chosen.names) == set(shuffled.take(subset(shuffled, 20)).names)
    assert subset(samples, 20, seed=1) != subset(samples, 20)
    assert set(chosen.names) <= set(samples.take(subset(samples, 60)).names)
    assert len(subset(samples, 540)) == 540
    assert len(subset(Samples(samples.x, None, samples.names), 7)) == 7
    with pytest.raises(UsageError, match="0 of 540"):
        subset(samples, 0)


@pytest.mark.parametrize(
    "written",
    [lambda y: np.eye(10, dtype=np.float32)[y], lambda y: y.astype(np.float32), lambda y: y[:, None]],
    ids=["one-hot", "floats", "column"],
)
def test_labels_of_every_kind_are_examined(sanity, model, samples, written) -> None:
    moved = Samples(samples.x, written((samples.y + 1) % 10), samples.names)
    assert "label_order" in found(sanity, model, dataset(moved))
    drawn = np.random.default_rng(0).permutation(samples.y)
    assert "float_model_at_chance" in found(
        sanity, model, dataset(Samples(samples.x, written(drawn), samples.names))
    )
    assert not found(sanity, model, dataset(Samples(samples.x, written(samples.y), samples.names)))


def test_a_float_model_that_names_one_class_only_is_named(sanity, model, samples) -> None:
    blank = Samples(np.zeros_like(samples.x), None, samples.names)
    assert "for all 540 samples" in found(sanity, model, dataset(blank))["one_class"]
    assert not found(sanity, model, dataset(blank.take(range(19))))


def test_quantities_no_better_than_their_mean_are_named(sanity, model, samples) -> None:
    right = np.eye(10, dtype=np.float32)[samples.y]
    truth = Samples(samples.x, right, samples.names)
    assert not found(sanity, model, dataset(truth, task="regression"))
    other_unit = Samples(samples.x, right * 1000 + 500, samples.names)
    seen = found(sanity, model, dataset(other_unit, task="regression"))
    assert "explains none of the variance" in seen["float_model_at_chance"]

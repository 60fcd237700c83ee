"""AUC and partial AUC beside scikit-learn's, and where they have no value."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.metrics import anomaly
from pytest_quantcheck.verdict.metrics.registry import METRICS

pytestmark = pytest.mark.host

BOTH = ("roc_auc", "pauc")
cases = st.lists(
    st.tuples(st.integers(-3, 6) | st.floats(-10, 10, width=32), st.integers(0, 1)), min_size=2, max_size=60
).filter(lambda pairs: len({label for _, label in pairs}) == 2)


def split(pairs) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = zip(*pairs, strict=True)
    return np.array(scores, dtype=np.float32), np.array(labels)


@given(cases)
def test_areas_are_those_of_scikit_learn_ties_included(pairs) -> None:
    scores, labels = split(pairs)
    assert anomaly.roc_auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    expected = roc_auc_score(labels, scores, max_fpr=0.1)
    assert anomaly.pauc(scores, labels) == pytest.approx(expected, abs=1e-12)


@given(cases)
def test_the_area_is_the_share_of_pairs_in_the_right_order(pairs) -> None:
    scores, labels = split(pairs)
    difference = scores[labels == 1][:, np.newaxis] - scores[labels == 0]
    assert anomaly.roc_auc(scores, labels) == pytest.approx(((np.sign(difference) + 1) / 2).mean(), abs=1e-12)


@given(cases, st.data())
def test_counting_an_observation_twice_is_giving_it_twice(pairs, data) -> None:
    scores, labels = split(pairs)
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(labels), max_size=len(labels))))
    index = np.repeat(np.arange(len(labels)), counts)
    for name in BOTH:
        metric = METRICS[name]
        found = metric.counted(scores, labels)(counts)
        assert found == pytest.approx(metric.score(scores[index], labels[index]), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("scores", "labels"), [([], []), ([1, 2], [0, 0]), ([1, 2], [1, 1]), ([1, float("nan")], [0, 1])]
)
def test_without_both_kinds_or_a_finite_score_there_is_no_value(name, scores, labels, recwarn) -> None:
    assert isnan(METRICS[name].score(np.array(scores, float), np.array(labels, int)))
    assert not recwarn.list


@pytest.mark.parametrize("name", BOTH)
def test_equal_scores_are_chance_and_a_perfect_order_is_one(name) -> None:
    labels = np.repeat([0, 1], 20)
    assert METRICS[name].score(np.ones(40), labels) == pytest.approx(0.5, abs=1e-12)
    assert METRICS[name].score(labels + 0.0, labels) == 1
    assert anomaly.roc_auc(-labels, labels) == 0


@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [
        (np.zeros((2, 2)), [0, 1], r"anomaly scores are \(2, 2\)"),
        (np.zeros(2), [0, 2], r"allowed: \(N,\) of 0 \(normal\) and 1"),
        (np.zeros(2), ["a", "b"], r"allowed: \(N,\) of 0 \(normal\) and 1"),
        (np.zeros(3), [0, 1], "3 scores, but 2 labels"),
    ],
)
def test_what_is_no_score_or_label_is_refused(scores, labels, words) -> None:
    with pytest.raises(UsageError, match=words):
        anomaly.roc_auc(scores, np.array(labels))


def test_a_clip_has_the_mean_score_of_its_windows() -> None:
    seen = anomaly.mean_scores(np.array([1.0, 5, 3, 7]), np.array([0, 1, 0, 1]), ["a#0", "b", "a#1", "c#x#0"])
    assert (seen.names, seen.outputs.tolist(), seen.truth.tolist()) == (
        ("a", "b", "c#x"),
        [2, 5, 7],
        [0, 1, 1],
    )
    with pytest.raises(UsageError, match="the windows of clip 'a' have several labels"):
        anomaly.mean_scores(np.zeros(2), np.array([0, 1]), ["a#0", "a#1"])

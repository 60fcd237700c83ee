"""Scores, distances and paired statistics."""

from __future__ import annotations

from fractions import Fraction
from math import comb, isclose
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.metrics import (
    classification,
    integers,
    paired,
    registry,
    regression,
)
from pytest_quantcheck.verdict.metrics.paired import Paired

pytestmark = pytest.mark.host

flips = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 400)).map(
    lambda t: Paired(t[0] + t[1] + t[2] + 1, t[0], t[1])
)


def test_the_largest_output_names_the_class() -> None:
    outputs = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert classification.correct(outputs, np.array([1, 0, 0])).tolist() == [True, True, False]
    assert classification.accuracy(outputs, np.array([1, 0, 0])) == pytest.approx(2 / 3)


def test_one_output_alone_is_cut_in_the_middle() -> None:
    assert classification.decisions(np.array([[0.2], [0.5], [0.6]])).tolist() == [0, 0, 1]


def test_one_hot_labels_count_like_numbers() -> None:
    outputs = np.eye(3)[[0, 2, 1]]
    assert (
        classification.accuracy(outputs, np.eye(3))
        == classification.accuracy(outputs, np.arange(3))
        == pytest.approx(1 / 3)
    )


@pytest.mark.parametrize("labels", [[0, 1, 2], [[0], [1], [2]], [0.0, 1.0, 2.0]])
def test_whole_numbers_are_labels_in_any_type_and_shape(labels) -> None:
    assert classification.accuracy(np.eye(3), np.array(labels)) == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            ["0", "1", "2"],
            r"labels are str\d* \(3,\); allowed for 3 classes: whole numbers \(3,\) or one-hot",
        ),
        ([0, 1, 3], "label 2 is 3; the 3 classes are 0 to 2"),
        ([1000, 1001, 1002], "label 0 is 1000"),
        ([0, -1, 2], "label 1 is -1"),
        ([0, 1.5, 2], "label 1 is 1.5"),
        ([0, float("nan"), 2], "label 1 is nan"),
        (np.eye(3, 4), r"labels are float64 \(3, 4\)"),
    ],
)
def test_labels_that_are_no_class_are_refused(labels, message) -> None:
    with pytest.raises(UsageError, match=message):
        classification.accuracy(np.eye(3), np.array(labels))


@pytest.mark.parametrize(
    ("function", "a", "b", "expected"),
    [
        (regression.mae, [1.0, 3.0], [0.0, 1.0], 1.5),
        (regression.rmse, [3.0, 4.0], [0.0, 0.0], 12.5**0.5),
        (regression.max_error, [1.0, -3.0], [0.0, 0.0], 3.0),
        (regression.cosine, [1.0, 0.0], [0.0, 2.0], 0.0),
        (regression.cosine, [1.0, 1.0], [2.0, 2.0], 1.0),
        (regression.cosine, [0.0, 0.0], [0.0, 0.0], 1.0),
        (regression.cosine, [0.0, 0.0], [0.0, 1.0], 0.0),
    ],
)
def test_distances(function, a, b, expected) -> None:
    assert function(np.array(a)[:, None], np.array(b)[:, None]) == pytest.approx(expected)


def test_lsb_do_not_wrap_around() -> None:
    a, b = np.array([-128], np.int8), np.array([127], np.int8)
    assert integers.max_lsb(a, b) == 255


def test_lsb_are_counted_between_integers_only() -> None:
    with pytest.raises(UsageError, match="not float32"):
        integers.max_lsb(np.zeros(1, np.int8), np.zeros(1, np.float32))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=50))
def test_flips_explain_the_whole_drop(pairs: list[tuple[bool, bool]]) -> None:
    first, second = (np.array(column) for column in zip(*pairs, strict=True))
    pair = paired.paired(first, second)
    assert isclose(pair.drop, float(first.mean() - second.mean()), abs_tol=1e-12)


@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (0, 5, 0.0625), (6, 2, 0.2890625), (10, 10, 1.0)],
)
def test_mcnemar_is_exact(lost: int, gained: int, p: float) -> None:
    assert Paired(100, lost, gained).p_value == p


@given(flips)
def test_mcnemar_is_the_doubled_binomial_tail_and_symmetric(pair: Paired) -> None:
    n = pair.lost + pair.gained
    tail = sum(Fraction(comb(n, k), 2**n) for k in range(min(pair.lost, pair.gained) + 1))
    assert pair.p_value == float(min(Fraction(1), 2 * tail))
    assert pair.p_value == Paired(pair.samples, pair.gained, pair.lost).p_value


@given(flips)
def test_the_interval_holds_the_observed_drop_and_widens_with_confidence(pair: Paired) -> None:
    narrow, wide = pair.interval(0.8), pair.interval(0.99)
    assert -1 <= wide[0] <= narrow[0] <= pair.drop + 1e-6
    assert pair.drop - 1e-6 <= narrow[1] <= wide[1] <= 1


@given(flips)
def test_the_interval_mirrors_when_the_models_change_places(pair: Paired) -> None:
    low, high = pair.interval(0.95)
    swapped = Paired(pair.samples, pair.gained, pair.lost).interval(0.95)
    assert swapped == (pytest.approx(-high, abs=1e-6), pytest.approx(-low, abs=1e-6))


def test_the_interval_without_flips_has_the_closed_form_of_tangos_statistic() -> None:
    """b = c = 0: n * delta / (1 - delta) = z^2."""
    z = NormalDist().inv_cdf(0.975)
    low, high = Paired(44, 0, 0).interval(0.95)
    assert high == pytest.approx(z * z / (44 + z * z), abs=1e-6)
    assert low == pytest.approx(-high, abs=1e-6)


def test_no_flips_on_few_samples_prove_little() -> None:
    assert Paired(20, 0, 0).interval(0.95)[1] > 0.1
    assert Paired(5000, 0, 0).interval(0.95)[1] < 0.001


def test_unknown_metrics_are_named_with_what_is_allowed() -> None:
    with pytest.raises(UsageError, match=r"'f1' is not known; allowed: accuracy, top3, .*agreement"):
        registry.find("f1")


def test_a_function_is_a_metric() -> None:
    def top_margin(outputs, truth):
        return 0.25

    found = registry.find(top_margin)
    assert (found.name, found.score(np.zeros(1), np.zeros(1))) == ("top_margin", 0.25)


@pytest.mark.parametrize("metric", ["rmse", "mae", "max_error", "cosine"])
def test_class_labels_are_no_truth_for_errors_and_cosine(metric) -> None:
    with pytest.raises(UsageError, match="class labels go with metric='accuracy'"):
        registry.METRICS[metric].score(np.eye(3), np.arange(3))

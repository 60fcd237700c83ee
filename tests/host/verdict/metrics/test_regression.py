"""Errors and similarities beside scikit-learn's, and where they have no value."""

from __future__ import annotations

from math import inf, isnan, log10

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sklearn
from sklearn.metrics.pairwise import cosine_similarity

from pytest_quantcheck.verdict.metrics import regression
from pytest_quantcheck.verdict.metrics.registry import METRICS

pytestmark = pytest.mark.host

values = st.integers(-100_000, 100_000).map(lambda step: step / 1024)  # scikit-learn takes tiny vectors as 0
shapes = st.tuples(st.integers(1, 20), st.integers(1, 4))
pairs = shapes.flatmap(lambda shape: st.tuples(*[arrays.arrays(np.float32, shape, elements=values)] * 2))


@given(pairs)
def test_errors_are_those_of_scikit_learn(pair) -> None:
    outputs, truth = pair
    y, t = outputs.astype(np.float64), truth.astype(np.float64)
    expected = {
        "mae": sklearn.mean_absolute_error(t, y),
        "rmse": sklearn.mean_squared_error(t, y) ** 0.5,
        "max_error": sklearn.max_error(t.ravel(), y.ravel()),
        "cosine": float(cosine_similarity(y.reshape(1, -1), t.reshape(1, -1))[0, 0]),
    }
    if not y.any() and not t.any():
        expected["cosine"] = 1.0  # scikit-learn: 0; two zero vectors are the same
    for name, value in expected.items():
        assert METRICS[name].score(outputs, truth) == pytest.approx(value, rel=1e-12, abs=1e-12)


@given(pairs)
def test_r2_is_that_of_scikit_learn_weighted_by_variance(pair) -> None:
    outputs, truth = (np.round(each) for each in pair)
    if (truth == truth[0]).all():
        assert isnan(regression.r2(outputs, truth))
        return
    y, t = outputs.astype(np.float64), truth.astype(np.float64)
    total = sum(float(np.square(column - column.mean()).sum()) for column in t.T)
    expected = 1 - float(np.square(y - t).sum()) / total
    assert regression.r2(outputs, truth) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    if (t != t[0]).any(axis=0).all():  # scikit-learn gives a column that never varies no weight
        expected = sklearn.r2_score(t, y, multioutput="variance_weighted")
        assert regression.r2(outputs, truth) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(pairs)
def test_sqnr_is_the_ratio_of_the_powers_in_decibel(pair) -> None:
    outputs, truth = (np.round(each) for each in pair)
    signal = sum(int(t) ** 2 for t in truth.flat)
    noise = sum((int(y) - int(t)) ** 2 for y, t in zip(outputs.flat, truth.flat, strict=True))
    if not noise:
        assert regression.sqnr(outputs, truth) == inf
    elif not signal:
        assert regression.sqnr(outputs, truth) == -inf
    else:
        assert regression.sqnr(outputs, truth) == pytest.approx(10 * log10(signal / noise), abs=1e-12)


@pytest.mark.parametrize("name", ["mae", "rmse", "r2"])
def test_of_nothing_there_is_no_mean_and_no_warning(name, recwarn) -> None:
    assert isnan(METRICS[name].score(np.zeros((0, 3)), np.zeros((0, 3))))
    assert not recwarn.list


def test_of_nothing_the_largest_error_is_zero_and_the_vectors_are_equal() -> None:
    empty = np.zeros((0, 3))
    assert (regression.max_error(empty, empty), regression.cosine(empty, empty)) == (0, 1)
    assert regression.sqnr(empty, empty) == inf


def test_the_cosine_of_long_vectors_does_not_overflow() -> None:
    huge = np.full((1, 2), 1e120)
    assert regression.cosine(huge, huge) == pytest.approx(1)

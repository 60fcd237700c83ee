"""Classification metrics beside scikit-learn's, and where they have no value."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sklearn

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.metrics import classification
from pytest_quantcheck.verdict.metrics.registry import METRICS
from pytest_quantcheck.verdict.metrics.tally import LARGEST_MATRIX

pytestmark = pytest.mark.host


@st.composite
def scored(draw, least_classes=2):
    """Outputs (N, classes) of few different values, so that ties are frequent, and labels."""
    samples, classes = draw(st.integers(1, 30)), draw(st.integers(least_classes, 6))
    values = st.integers(-2, 2).map(lambda step: step / 4)
    outputs = draw(arrays.arrays(np.float32, (samples, classes), elements=values))
    return outputs, np.array(draw(st.lists(st.integers(0, classes - 1), min_size=samples, max_size=samples)))


@given(scored())
def test_accuracies_and_f1_are_those_of_scikit_learn(case) -> None:
    outputs, labels = case
    named = classification.decisions(outputs)
    present = np.unique(labels)
    recalls = sklearn.recall_score(labels, named, labels=present, average=None, zero_division=0)
    expected = {
        "accuracy": sklearn.accuracy_score(labels, named),
        "balanced_accuracy": recalls.mean(),
        "gmean": float(np.prod(recalls)) ** (1 / len(recalls)),
        "macro_f1": sklearn.f1_score(labels, named, average="macro", zero_division=0),
    }
    for name, value in expected.items():
        assert METRICS[name].score(outputs, labels) == pytest.approx(value, abs=1e-12)


@given(scored(least_classes=4))
def test_top_k_is_that_of_scikit_learn_whose_last_of_equal_values_is_our_first(case) -> None:
    outputs, labels = case
    classes = outputs.shape[1]
    reversed_outputs, reversed_labels = outputs[:, ::-1], classes - 1 - labels
    value = sklearn.top_k_accuracy_score(reversed_labels, reversed_outputs, k=3, labels=np.arange(classes))
    assert METRICS["top3"].score(outputs, labels) == pytest.approx(value, abs=1e-12)


@given(scored())
def test_the_tables_are_scikit_learns_precision_recall_and_confusion_matrix(case) -> None:
    outputs, labels = case
    classes = np.arange(outputs.shape[1])
    named = classification.decisions(outputs)
    per_class, matrix = classification.tables(outputs, labels, ("zero", "one"))
    precision, recall, _, support = sklearn.precision_recall_fscore_support(
        labels, named, labels=classes, zero_division=np.nan
    )
    for column, expected in (("precision", precision), ("recall", recall), ("count", support)):
        where = per_class.columns.index(column)
        found = [np.nan if row[where] is None else row[where] for row in per_class.rows]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert np.array_equal(matrix.rows, sklearn.confusion_matrix(labels, named, labels=classes))
    assert matrix.names == matrix.columns == (("zero", "one", "2", "3", "4", "5")[: len(classes)])


@given(scored(), st.data())
def test_counting_a_sample_twice_is_giving_it_twice(case, data) -> None:
    outputs, labels = case
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(labels), max_size=len(labels))))
    index = np.repeat(np.arange(len(labels)), counts)
    for name in ("balanced_accuracy", "gmean", "macro_f1"):
        metric = METRICS[name]
        counted = metric.counted(outputs, labels)(counts)
        given_twice = metric.score(outputs[index], labels[index]) if len(index) else float("nan")
        assert counted == pytest.approx(given_twice, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("name", ["accuracy", "top3", "balanced_accuracy", "gmean", "macro_f1"])
def test_without_samples_there_is_no_value_and_no_warning(name, recwarn) -> None:
    assert isnan(METRICS[name].score(np.zeros((0, 5)), np.zeros(0, int)))
    assert not recwarn.list


@pytest.mark.parametrize(
    ("labels", "named", "expected"),
    [
        ([1, 1, 1], [1, 1, 0], {"balanced_accuracy": 2 / 3, "gmean": 2 / 3, "macro_f1": 0.4}),
        ([0, 0, 1], [0, 0, 0], {"balanced_accuracy": 0.5, "gmean": 0.0, "macro_f1": 0.4}),
        ([0, 1, 2], [0, 1, 2], {"balanced_accuracy": 1.0, "gmean": 1.0, "macro_f1": 1.0}),
    ],
)
def test_one_class_and_a_class_that_is_never_named(labels, named, expected) -> None:
    outputs = np.eye(3)[named]
    found = {name: METRICS[name].score(outputs, np.array(labels)) for name in expected}
    assert found == pytest.approx(expected, abs=1e-12)


def test_an_output_that_is_not_finite_is_wrong_and_stands_in_no_column() -> None:
    outputs, labels = np.array([[np.nan, 1, 0, 0], [0, 1, 0, 0]]), np.array([1, 1])
    assert METRICS["top3"].score(outputs, labels) == METRICS["accuracy"].score(outputs, labels) == 0.5
    per_class, matrix = classification.tables(outputs, labels, ())
    assert matrix.rows[1] == (0, 1, 0, 0)
    assert per_class.rows[1] == (1.0, 0.5, 2)


def test_top_k_of_no_more_than_k_classes_is_refused() -> None:
    with pytest.raises(UsageError, match="top3 of 3 classes is always right"):
        METRICS["top3"].score(np.eye(3), np.arange(3))


def test_a_matrix_of_very_many_classes_is_left_out() -> None:
    many = LARGEST_MATRIX + 1
    assert [each.title for each in classification.tables(np.eye(many), np.arange(many), ())] == ["per class"]
    assert len(classification.tables(np.eye(many - 1), np.arange(many - 1), ())) == 2

"""Segmentation metrics beside scikit-learn's on all pixels, and where they have no value."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sklearn

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.metrics import segmentation
from pytest_quantcheck.verdict.metrics.registry import METRICS
from pytest_quantcheck.verdict.metrics.segmentation import VOID

pytestmark = pytest.mark.host

CLASSES = 4


@st.composite
def segmented(draw):
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)))
    steps = st.integers(-2, 2).map(lambda step: step / 4)
    outputs = draw(arrays.arrays(np.float32, (*shape, CLASSES), elements=steps))
    labels = draw(arrays.arrays(np.uint8, shape, elements=st.sampled_from([*range(CLASSES), VOID])))
    return outputs, labels


@given(segmented())
def test_iou_and_accuracy_are_those_of_scikit_learn_on_all_judged_pixels(case) -> None:
    outputs, labels = case
    judged = labels != VOID
    named, truth = outputs.argmax(axis=-1)[judged], labels[judged]
    if not judged.any():
        assert isnan(segmentation.miou(outputs, labels))
        assert isnan(segmentation.pixel_accuracy(outputs, labels))
        return
    expected = sklearn.jaccard_score(truth, named, average="macro", zero_division=0)
    assert segmentation.miou(outputs, labels) == pytest.approx(expected, abs=1e-12)
    expected = sklearn.accuracy_score(truth, named)
    assert segmentation.pixel_accuracy(outputs, labels[..., np.newaxis]) == pytest.approx(expected, abs=1e-12)
    per_class, matrix = segmentation.tables(outputs, labels, ("sky",))
    known = np.arange(CLASSES)
    iou = sklearn.jaccard_score(truth, named, labels=known, average=None, zero_division=0)
    occurs = np.isin(known, [*truth, *named])
    assert [row[0] is not None for row in per_class.rows] == occurs.tolist()
    found = [row[0] for row in per_class.rows if row[0] is not None]
    np.testing.assert_allclose(found, iou[occurs], rtol=0, atol=1e-12)
    assert np.array_equal(matrix.rows, sklearn.confusion_matrix(truth, named, labels=known))
    assert per_class.names == ("sky", "1", "2", "3")


@given(segmented(), st.data())
def test_counting_an_image_twice_is_giving_it_twice(case, data) -> None:
    outputs, labels = case
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(labels), max_size=len(labels))))
    index = np.repeat(np.arange(len(labels)), counts)
    for name in ("miou", "pixel_accuracy"):
        metric = METRICS[name]
        found = metric.counted(outputs, labels)(counts)
        assert found == pytest.approx(metric.score(outputs[index], labels[index]), abs=1e-12, nan_ok=True)


def test_one_value_per_pixel_is_a_class_number_or_is_cut_in_the_middle() -> None:
    labels = np.array([[[0, 1], [2, 2]]])
    assert segmentation.pixel_accuracy(np.array([[[0.0, 1], [2, 1]]]), labels) == 0.75
    binary = np.array([[[0.2, 0.7], [0.9, 0.1]]], dtype=np.float32)
    assert segmentation.pixel_accuracy(binary[..., np.newaxis], np.array([[[0, 1], [1, 1]]])) == 0.75


def test_a_pixel_that_is_not_finite_is_wrong() -> None:
    outputs = np.array([[[[0.0, 1], [np.nan, 1]]]])
    assert segmentation.pixel_accuracy(outputs, np.array([[[1, 1]]])) == 0.5
    assert segmentation.miou(outputs, np.array([[[1, 1]]])) == 0.5


def test_without_images_there_is_no_value(recwarn) -> None:
    for name in ("miou", "pixel_accuracy", "pixel_agreement"):
        second = np.zeros((0, 2, 2, 3) if name == "pixel_agreement" else (0, 2, 2), int)
        assert isnan(METRICS[name].score(np.zeros((0, 2, 2, 3)), second))
    assert segmentation.tables(np.zeros((0, 2, 2, 3)), np.zeros((0, 2, 2), int), ()) == ()
    assert not recwarn.list


def test_two_models_agree_pixel_by_pixel() -> None:
    a = np.eye(3)[np.array([[[0, 1], [2, 2]]])]
    b = np.eye(3)[np.array([[[0, 1], [2, 0]]])]
    assert segmentation.pixel_agreement(a, b) == 0.75


@pytest.mark.parametrize(
    ("outputs", "labels", "words"),
    [
        ((1, 2, 2, 3), np.zeros((1, 4, 4), int), r"outputs \(1, 2, 2, 3\) and labels \(1, 4, 4\)"),
        ((1, 2), np.zeros((1, 2), int), "allowed: outputs"),
        ((1, 2, 2, 3), np.full((1, 2, 2), 3), "a pixel has the label 3; the 3 classes are 0 to 2"),
        ((1, 2, 2, 3), np.full((1, 2, 2), -1), "whole numbers from 0"),
        ((1, 2, 2, 3), np.full((1, 2, 2), 0.5), "whole numbers from 0"),
    ],
)
def test_what_is_no_map_of_classes_is_refused(outputs, labels, words) -> None:
    with pytest.raises(UsageError, match=words):
        segmentation.miou(np.zeros(outputs), labels)

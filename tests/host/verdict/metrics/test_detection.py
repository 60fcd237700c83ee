"""Average precision beside pycocotools, and where it has no value."""

from __future__ import annotations

import contextlib
import io
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.metrics import detection
from pytest_quantcheck.verdict.metrics.detection import COCO_THRESHOLDS, MOST_BOXES
from pytest_quantcheck.verdict.metrics.registry import METRICS

pytestmark = pytest.mark.host

CLASSES = 3
corners = st.tuples(*[st.integers(0, 12), st.integers(1, 6)] * 2).map(
    lambda t: (float(t[0]), float(t[2]), float(t[0] + t[1]), float(t[2] + t[3]))
)


@st.composite
def pictures(draw):
    """Predictions near the true boxes, with few different scores, so that ties are frequent."""
    images = draw(st.integers(1, 4))
    truth, found = [], []
    for _ in range(images):
        true = draw(st.lists(st.tuples(corners, st.integers(0, CLASSES - 1)), max_size=5))
        near = [
            (tuple(value + draw(st.sampled_from([0, 0, 0, 1])) for value in box), name)
            for box, name in true
            for _ in range(draw(st.integers(0, 2)))
        ]
        other = draw(st.lists(st.tuples(corners, st.integers(0, CLASSES - 1)), max_size=4))
        truth.append([[*box, name] for box, name in true])
        found.append(
            [[*box, draw(st.integers(1, 5)) / 8, name] for box, name in draw(st.permutations(near + other))]
        )
    return padded(found, 6), padded(truth, 5)


def padded(rows, width: int) -> np.ndarray:
    most = max(map(len, rows), default=0) + 1
    array = np.zeros((len(rows), most, width), dtype=np.float32)
    array[..., -1] = -1
    for image, boxes in enumerate(rows):
        if boxes:
            array[image, : len(boxes)] = boxes
    return array


def coco(predictions: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """pycocotools' AP per threshold and class, (10, classes); -1 for a class without true boxes."""

    def box(values) -> list[float]:
        ymin, xmin, ymax, xmax = map(float, values)
        return [xmin, ymin, xmax - xmin, ymax - ymin]

    annotations, results = [], []
    for image, boxes in enumerate(truth):
        for row in boxes[boxes[:, 4] >= 0]:
            of = {"image_id": image, "category_id": int(row[4]), "iscrowd": 0, "id": len(annotations) + 1}
            annotations.append(
                {**of, "bbox": box(row[:4]), "area": float((row[2] - row[0]) * (row[3] - row[1]))}
            )
    for image, boxes in enumerate(predictions):
        for row in boxes[boxes[:, 5] >= 0]:
            of = {"image_id": image, "category_id": int(row[5]), "score": float(row[4])}
            results.append({**of, "bbox": box(row[:4])})
    with contextlib.redirect_stdout(io.StringIO()):
        known, nothing = COCO(), COCO()
        for each, boxes in ((known, annotations), (nothing, [])):
            each.dataset = {
                "images": [{"id": image} for image in range(len(truth))],
                "annotations": boxes,
                "categories": [{"id": name} for name in range(CLASSES)],
            }
            each.createIndex()
        evaluation = COCOeval(known, known.loadRes(results) if results else nothing, "bbox")
        evaluation.params.imgIds = list(range(len(truth)))
        evaluation.params.catIds = list(range(CLASSES))
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, -1].mean(axis=1)


@settings(max_examples=150)
@given(pictures())
def test_average_precision_is_that_of_pycocotools(case) -> None:
    predictions, truth = case
    expected = coco(predictions, truth)
    present = sorted({int(name) for name in truth[..., 4].ravel() if name >= 0})
    found = detection.average_precisions(predictions, truth)
    assert list(found) == present
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[:, name], rtol=0, atol=1e-12)
    if not present:
        assert isnan(detection.mean_average_precision(predictions, truth))
        return
    named = {"map": expected[:, present], "map50": expected[0, present], "map75": expected[5, present]}
    for name, values in named.items():
        assert METRICS[name].score(predictions, truth) == pytest.approx(values.mean(), abs=1e-12)


@settings(max_examples=50)
@given(pictures(), st.data())
def test_counting_an_image_twice_is_giving_it_twice(case, data) -> None:
    predictions, truth = case
    predictions[..., 4] += (
        np.arange(predictions[..., 4].size).reshape(predictions.shape[:2]) / 1000
    )  # no ties
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(truth), max_size=len(truth))))
    index = np.repeat(np.arange(len(truth)), counts)
    counted = METRICS["map"].counted(predictions, truth)(counts)
    given_twice = detection.mean_average_precision(predictions[index], truth[index])
    assert counted == pytest.approx(given_twice, abs=1e-12, nan_ok=True)


def test_only_the_best_hundred_boxes_of_an_image_and_class_count() -> None:
    truth = padded([[[0, 0, 4, 4, 0]]], 5)
    false = [[8, 8, 9, 9, 0.9, 0]] * MOST_BOXES
    assert detection.mean_average_precision(padded([[*false, [0, 0, 4, 4, 0.5, 0]]], 6), truth) == 0
    assert detection.mean_average_precision(padded([[*false[1:], [0, 0, 4, 4, 0.5, 0]]], 6), truth) > 0
    other = [[8, 8, 9, 9, 0.9, 1]] * MOST_BOXES
    assert detection.mean_average_precision(padded([[*other, [0, 0, 4, 4, 0.5, 0]]], 6), truth) == 1


def test_a_class_without_true_boxes_does_not_enter_the_mean() -> None:
    truth = padded([[[0, 0, 4, 4, 0]]], 5)
    predictions = padded([[[0, 0, 4, 4, 0.5, 0], [0, 0, 4, 4, 0.9, 2]]], 6)
    assert detection.mean_average_precision(predictions, truth) == 1
    (table,) = detection.tables(predictions, truth, ("cat",))
    assert (table.names, table.columns) == (("cat",), ("AP", "AP50", "AP75", "count"))
    assert table.rows == ((1.0, 1.0, 1.0, 1),)


def test_boxes_and_scores_that_are_not_finite_find_nothing_and_rank_last() -> None:
    truth = padded([[[0, 0, 4, 4, 0], [6, 6, 9, 9, 0]]], 5)
    good = [[0, 0, 4, 4, 0.5, 0], [6, 6, 9, 9, 0.5, 0]]
    nowhere = [np.nan, 0, 4, 4, 0.9, 0]
    assert detection.mean_average_precision(padded([[*good, nowhere]], 6), truth) < 1
    unranked = [6, 6, 9, 9, np.nan, 0]
    assert detection.mean_average_precision(padded([[unranked, *good]], 6), truth) == 1


@pytest.mark.parametrize(("predicted", "true"), [((0, 3, 6), (0, 3, 5)), ((2, 3, 6), (2, 0, 5))])
def test_without_a_true_box_there_is_no_value(predicted, true, recwarn) -> None:
    assert isnan(detection.mean_average_precision(np.zeros(predicted), np.zeros(true)))
    assert not recwarn.list


def test_without_a_prediction_the_value_is_zero() -> None:
    assert detection.mean_average_precision(np.zeros((1, 0, 6)), padded([[[0, 0, 4, 4, 0]]], 5)) == 0


@pytest.mark.parametrize(
    ("predictions", "truth", "words"),
    [
        (np.zeros((1, 2, 5)), np.zeros((1, 2, 5)), "allowed: .N, boxes, 6. of ymin"),
        (np.zeros((2, 2, 6)), np.zeros((1, 2, 5)), "predictions for 2 images, but truth for 1"),
        (np.full((1, 1, 6), 0.5), np.zeros((1, 2, 5)), "the predictions name a class 0.5"),
        (np.zeros((1, 1, 6)), np.full((1, 2, 5), -2.0), "the truth name a class -2.0"),
        (np.full((1, 1, 6), np.nan), np.zeros((1, 2, 5)), "the predictions name a class nan"),
    ],
)
def test_what_is_no_box_is_refused(predictions, truth, words) -> None:
    with pytest.raises(UsageError, match=words):
        detection.mean_average_precision(predictions, truth)


def test_the_thresholds_are_those_of_coco() -> None:
    assert tuple(COCOeval(iouType="bbox").params.iouThrs.tolist()) == COCO_THRESHOLDS

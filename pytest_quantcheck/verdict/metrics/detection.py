"""Object detection: average precision at IoU thresholds, as COCO computes it.

Predictions are (N, boxes, 6) ``[ymin, xmin, ymax, xmax, score, class]``, the truth (N, boxes, 5) ``[ymin,
xmin, ymax, xmax, class]``; the class -1 marks an unused place (``data/tasks/detection.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_quantcheck.data.tasks.detection import NO_BOX
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.numerics.boxes import iou
from pytest_quantcheck.verdict.metrics.metric import Bools, Counted, Counts, Metric, over_all
from pytest_quantcheck.verdict.metrics.tally import Floats, all_names, mean_of_defined
from pytest_quantcheck.verdict.table import Table

COCO_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
MOST_BOXES = 100
"""Boxes per image and class that count, the best ones."""

_RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class _Matches:
    """The predictions of one class, best score first, whose image is ``images`` (D,): which of them find
    a true box at each of T thresholds, (T, D); ``truths``: how many true boxes each image has, (N,).
    """

    name: int
    images: IntArray
    found: Bools
    truths: IntArray


def mean_average_precision(
    predictions: Array, truth: Array, thresholds: Sequence[float] = COCO_THRESHOLDS
) -> float:
    """The mean of ``average_precisions`` over classes that have true boxes, and over ``thresholds``.

    NaN where no class has one. Source: Lin et al., *Microsoft COCO*, 2014, and cocodataset.org,
    *detection evaluation*; ``map`` is its AP over 0.5:0.05:0.95, ``map50`` and ``map75`` its AP50 and AP75,
    all of area ``all`` and with at most 100 detections per image and class; there are no crowd regions.
    Oracle: ``pycocotools``.
    """
    return over_all(_prepared(thresholds), predictions, truth)


def average_precisions(
    predictions: Array, truth: Array, thresholds: Sequence[float] = COCO_THRESHOLDS
) -> dict[int, Floats]:
    """The average precision of each class that has true boxes, (T,) for T thresholds of the IoU.

    From the best score down, a prediction is right that covers a true box of its image and class, not found
    yet, by at least the threshold; it finds the one that it covers most. The average is over the recalls 0,
    0.01, ..., 1 of the largest precision at that recall or a higher one (0 where it is not reached). Of equal
    scores the earlier image and place come first.
    """
    every = np.ones(len(predictions), dtype=np.int64)
    return {
        each.name: _average(each, every)
        for each in _matches(predictions, truth, thresholds)
        if each.truths.any()
    }


def _prepared(thresholds: Sequence[float]) -> Callable[[Array, Array], Counted]:
    def prepare(predictions: Array, truth: Array) -> Counted:
        classes = [each for each in _matches(predictions, truth, thresholds) if each.truths.any()]

        def score(counts: Counts) -> float:
            values = [_average(each, counts) for each in classes]
            return mean_of_defined(np.concatenate(values)) if values else float("nan")

        return score

    return prepare


def _average(matches: _Matches, counts: Counts) -> Floats:
    """Average precision at each threshold, (T,), where each image counts ``counts`` (N,) times."""
    truths = int(matches.truths @ counts)
    if not truths:
        return np.full(len(matches.found), np.nan)
    weights = counts[matches.images]
    kept = weights > 0
    if not kept.any():
        return np.zeros(len(matches.found))
    right = np.cumsum(matches.found[:, kept] * weights[kept], axis=1)
    precision = right / np.cumsum(weights[kept])
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.concatenate([best, np.zeros((len(best), 1))], axis=1)  # where a recall is never reached
    recall = right / truths
    return np.asarray(
        [row[np.searchsorted(reached, _RECALLS)].mean() for reached, row in zip(recall, best, strict=True)]
    )


def _matches(predictions: Array, truth: Array, thresholds: Sequence[float]) -> list[_Matches]:
    """What is found, class by class, in the order of their numbers."""
    _check(predictions, truth)
    limits = np.minimum(np.asarray(thresholds, dtype=np.float64), 1 - 1e-10)[:, np.newaxis]
    numbers = np.union1d(predictions[..., 5], truth[..., 4])
    found = []
    for number in numbers[numbers != NO_BOX]:
        counts = (truth[..., 4] == number).sum(axis=1).astype(np.int64)
        scores, which, hits = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros((len(limits), 0), np.bool_)]
        for image in np.flatnonzero((predictions[..., 5] == number).any(axis=1)):
            boxes = predictions[image][predictions[image, :, 5] == number].astype(np.float64)
            boxes = boxes[_falling(boxes[:, 4])[:MOST_BOXES]]
            wanted = truth[image][truth[image, :, 4] == number]
            scores.append(boxes[:, 4])
            which.append(np.full(len(boxes), image, dtype=np.int64))
            hits.append(_find(iou(boxes[:, :4], wanted[:, :4]), limits))
        order = _falling(np.concatenate(scores))
        found.append(
            _Matches(
                int(number), np.concatenate(which)[order], np.concatenate(hits, axis=1)[:, order], counts
            )
        )
    return found


def _falling(scores: Floats) -> IntArray:
    """The order from the best score down; of equal ones the first comes first, what is no number last."""
    return np.asarray(np.argsort(-scores, kind="stable"), dtype=np.int64)


def _find(overlaps: Floats, limits: Floats) -> Bools:
    """Which of D predictions, best first, find one of G true boxes, (T, D), by their IoU, (D, G).

    Of true boxes that are covered alike the last is found, as in pycocotools.
    """
    size = overlaps.shape[1]
    free = np.ones((len(limits), size), dtype=np.bool_)
    found = np.zeros((len(limits), len(overlaps)), dtype=np.bool_)
    if not size:
        return found
    for place, row in enumerate(overlaps):
        candidates = np.where(free & (row >= limits), row, -1.0)
        best = size - 1 - candidates[:, ::-1].argmax(axis=1)
        found[:, place] = candidates.max(axis=1) >= 0
        free[found[:, place], best[found[:, place]]] = False
    return found


def _check(predictions: Array, truth: Array) -> None:
    if predictions.ndim != 3 or predictions.shape[2] != 6 or truth.ndim != 3 or truth.shape[2] != 5:
        raise UsageError(
            f"predictions {predictions.shape} and truth {truth.shape}; allowed: (N, boxes, 6) of ymin, xmin, "
            "ymax, xmax, score, class and (N, boxes, 5) of ymin, xmin, ymax, xmax, class"
        )
    if len(predictions) != len(truth):
        raise UsageError(f"predictions for {len(predictions)} images, but truth for {len(truth)}")
    for what, classes in (("predictions", predictions[..., 5]), ("truth", truth[..., 4])):
        sound = (classes >= NO_BOX) & (classes == np.floor(classes)) & np.isfinite(classes)
        if not sound.all():
            raise UsageError(
                f"the {what} name a class {classes[~sound][0]}; allowed: whole numbers from 0, {NO_BOX} for "
                "an unused place"
            )


def tables(predictions: Array, truth: Array, classes: Sequence[str]) -> tuple[Table, ...]:
    """The AP of each class that has true boxes (0.5:0.95, 0.5, 0.75), and how many it has."""
    values = average_precisions(predictions, truth)
    names = all_names(classes, max(values, default=-1) + 1)
    rows = tuple(
        (float(found.mean()), float(found[0]), float(found[5]), int((truth[..., 4] == number).sum()))
        for number, found in values.items()
    )
    columns = "AP", "AP50", "AP75", "count"
    return (Table("per class", tuple(names[number] for number in values), columns, rows, percent=True),)


def _metric(name: str, thresholds: Sequence[float]) -> Metric:
    return Metric(
        name,
        lambda predictions, truth: mean_average_precision(predictions, truth, thresholds),
        fraction=True,
        labels=True,
        counted=_prepared(thresholds),
        detail=tables,
        undefined="the truth has no box",
    )


def map_at(threshold: float) -> Metric:
    """``map40`` for an IoU of 0.4: the mean average precision at one threshold."""
    return _metric(f"map{100 * threshold:g}", (threshold,))


METRICS = (
    _metric("map", COCO_THRESHOLDS),
    _metric("map50", COCO_THRESHOLDS[:1]),
    _metric("map75", COCO_THRESHOLDS[5:6]),
)

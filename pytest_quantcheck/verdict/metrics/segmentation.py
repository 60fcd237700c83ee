"""Segmentation: a class per pixel, and how well the regions of each class cover each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.verdict.metrics.classification import decisions
from pytest_quantcheck.verdict.metrics.metric import Counted, Counts, Metric, mean, over_all, rows
from pytest_quantcheck.verdict.metrics.tally import NO_CLASS, Tally, matrix, mean_of_defined, tally
from pytest_quantcheck.verdict.table import Table

VOID = 255
"""A pixel of this label is not judged (Pascal VOC)."""


def miou(outputs: Array, labels: Array) -> float:
    """The mean over classes of right / (support + named - right), counted in pixels over all images.

    ``outputs`` are (N, H, W, classes), the largest value names the class; or (N, H, W) or (N, H, W, 1): class
    numbers where all values are whole, else cut at 0.5. ``labels`` are (N, H, W) or (N, H, W, 1) class
    numbers, ``VOID`` is not judged. A class that neither occurs nor is named does not enter the mean; NaN
    without a pixel. Source: Everingham et al., IJCV 111 (2015) 98, section 4.3. Oracle:
    ``sklearn.metrics.jaccard_score(average="macro")`` on all pixels.
    """
    return over_all(_counted(_mean_iou), outputs, labels)


def pixel_accuracy(outputs: Array, labels: Array) -> float:
    """The fraction of all judged pixels that are right. Same input and edge cases as ``miou``."""
    return over_all(_counted(_right), outputs, labels)


def pixel_agreement(outputs: Array, reference: Array) -> float:
    """The fraction of pixels for which two models name the same class; both as ``outputs`` of ``miou``."""
    if outputs.shape != reference.shape:
        raise UsageError(f"shapes differ: {outputs.shape} and {reference.shape}")
    pixels = outputs.shape[:3]
    ours, theirs = (_named(each, pixels) for each in (outputs, reference))
    return mean((ours == theirs) & (ours != NO_CLASS))


def _mean_iou(found: Tally) -> float:
    return mean_of_defined(found.iou)


def _right(found: Tally) -> float:
    pixels = int(found.support.sum())
    return int(found.hits.sum()) / pixels if pixels else float("nan")


def _counted(summary: Callable[[Tally], float]) -> Callable[[Array, Array], Counted]:
    """A summary as a function of how often each image counts: the counts of the images are added."""

    def prepare(outputs: Array, labels: Array) -> Counted:
        images, classes = _judged(outputs, labels)
        if not images:
            return lambda _: float("nan")
        tallies = [tally(decided, truth, classes) for decided, truth in images]
        parts = [np.stack([getattr(each, name) for each in tallies]) for name in ("hits", "named", "support")]
        return lambda counts: summary(Tally(*(counts @ part for part in parts)))

    return prepare


def _judged(outputs: Array, labels: Array) -> tuple[list[tuple[Counts, Counts]], int]:
    """Of each image the classes named and the true ones of its judged pixels; and the number of classes."""
    pixels = _pixels(outputs, labels)
    named, truth = rows(_named(outputs, pixels)), rows(_truth(labels))
    judged = truth != VOID
    largest = max(int(named.max(initial=0)), int(truth[judged].max(initial=0)))
    classes = outputs.shape[3] if outputs.ndim == 4 and outputs.shape[3] > 1 else max(2, largest + 1)
    if largest >= classes:
        raise UsageError(
            f"a pixel has the label {largest}; the {classes} classes are 0 to {classes - 1}, {VOID} is "
            "not judged"
        )
    return [(ours[each], true[each]) for ours, true, each in zip(named, truth, judged, strict=True)], classes


def _pixels(outputs: Array, labels: Array) -> tuple[int, ...]:
    """(N, H, W), which outputs and labels must share."""
    pixels = outputs.shape[:3]
    if outputs.ndim not in (3, 4) or labels.shape not in (pixels, (*pixels, 1)):
        raise UsageError(
            f"outputs {outputs.shape} and labels {labels.shape}; allowed: outputs (N, H, W, classes) or "
            "(N, H, W), labels (N, H, W) of class numbers"
        )
    return pixels


def _named(outputs: Array, pixels: tuple[int, ...]) -> IntArray:
    """The class that each pixel names, (N, H, W)."""
    flat = outputs.reshape(prod(pixels), prod(outputs.shape[3:]))
    if flat.shape[1] == 1 and (np.isfinite(flat) & (flat >= 0) & (flat == np.floor(flat))).all():
        return flat.reshape(pixels).astype(np.int64)
    return decisions(flat).reshape(pixels)


def _truth(labels: Array) -> IntArray:
    if labels.dtype.kind not in "iubf" or not ((labels >= 0) & (labels == np.floor(labels))).all():
        raise UsageError("the labels of pixels are whole numbers from 0")
    return labels.astype(np.int64)


def tables(outputs: Array, labels: Array, classes: Sequence[str]) -> tuple[Table, ...]:
    """IoU, precision, recall and pixels per class, and the confusion matrix."""
    images, size = _judged(outputs, labels)
    if not images:
        return ()
    decided, truth = (np.concatenate(each) for each in zip(*images, strict=True))
    return tally(decided, truth, size).table(classes, iou=True), *matrix(decided, truth, size, classes)


_UNDEFINED = "no pixel has a label"
METRICS = (
    Metric(
        "miou",
        miou,
        fraction=True,
        labels=True,
        counted=_counted(_mean_iou),
        detail=tables,
        undefined=_UNDEFINED,
    ),
    Metric(
        "pixel_accuracy",
        pixel_accuracy,
        fraction=True,
        labels=True,
        counted=_counted(_right),
        detail=tables,
        undefined=_UNDEFINED,
    ),
    Metric("pixel_agreement", pixel_agreement, fraction=True, to_float=True),
)

"""Predictions of a detector: the boxes that count, (N, boxes, 6) ``[ymin, xmin, ymax, xmax, score,
class]``."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.numerics.boxes import suppress

NO_BOX = -1
"""The class of a place that is not used."""
COLUMNS = 6


def best_boxes(
    boxes: Array, scores: Array, *, least: float = 0.01, threshold: float = 0.5, most: int = 100
) -> Array:
    """Predictions (N, most, 6) float64 from decoded boxes (N, M, 4) and scores per class (N, M, classes).

    A box counts for each class whose score is at least ``least``. Of the boxes of one class in one image that
    overlap by an IoU above ``threshold`` the best stays (``numerics.boxes.suppress``); of all that stay
    the ``most`` best. A background class must be cut off before.
    """
    if boxes.ndim != 3 or boxes.shape[2] != 4 or scores.ndim != 3 or scores.shape[:2] != boxes.shape[:2]:
        raise UsageError(
            f"boxes {boxes.shape} and scores {scores.shape}; allowed: (N, M, 4) and (N, M, classes)"
        )
    found = np.zeros((len(boxes), most, COLUMNS))
    found[..., 5] = NO_BOX
    for image, (places, values) in enumerate(zip(boxes, scores, strict=True)):
        box, named = np.nonzero(values >= least)
        kept = suppress(places[box], values[box, named], named, threshold)[:most]
        box, named = box[kept], named[kept]
        found[image, : len(kept)] = np.column_stack([places[box], values[box, named], named])
    return found


def scores_by_class(predictions: Array) -> Array:
    """The scores of predictions (N, M, 6) per class, (N, M, classes); -1 where a box is of another class."""
    kinds = predictions[..., 5].astype(np.int64)
    classes = np.arange(max(int(kinds.max(initial=0)) + 1, 1))
    return np.where(kinds[..., np.newaxis] == classes, predictions[..., 4:5], -1.0)

"""Object detection: boxes with a score and a class.

Predictions travel as (N, boxes, 6) ``[ymin, xmin, ymax, xmax, score, class]``, the truth (``Samples.y``) as
(N, boxes, 5) ``[ymin, xmin, ymax, xmax, class]``, in one unit. Unused places have the class ``NO_BOX``.
"""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.data.tasks.task import Task
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.numerics.boxes import suppress

NO_BOX = -1
_COLUMNS = 6


def decode(outputs: tuple[Array, ...], _inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Predictions (N, boxes, 6) from one output that holds them already, or from the four outputs of
    TFLite's ``TFLite_Detection_PostProcess``: boxes (N, M, 4), classes (N, M), scores (N, M), count (N,).

    Other heads need a Task with a ``decode`` of their own, for which ``best_boxes`` is made.
    """
    if len(outputs) == 1 and outputs[0].ndim == 3 and outputs[0].shape[2] == _COLUMNS:
        return outputs
    if len(outputs) == 4 and outputs[0].ndim == 3 and outputs[0].shape[2] == 4:
        return (_post_processed(*outputs),)
    raise UsageError(
        f"task='detection' cannot read outputs {[list(each.shape[1:]) for each in outputs]}; allowed: one "
        "output [boxes, 6] of ymin, xmin, ymax, xmax, score, class, or the four of "
        "TFLite_Detection_PostProcess; else give a Task with a decode= of your own (see best_boxes)"
    )


def _post_processed(boxes: Array, classes: Array, scores: Array, count: Array) -> Array:
    size, places = boxes.shape[:2]
    if classes.size != size * places or scores.size != size * places or count.size != size:
        raise UsageError(
            f"four outputs {[list(each.shape) for each in (boxes, classes, scores, count)]} are not the "
            "boxes, classes, scores and count of TFLite_Detection_PostProcess"
        )
    classes, scores = classes.reshape(size, places), scores.reshape(size, places)
    used = np.arange(places) < count.reshape(size, 1)
    if (classes[used] != np.floor(classes[used])).any():
        raise UsageError(
            "the second output holds no class numbers: are the outputs of TFLite_Detection_PostProcess in "
            "another order than boxes, classes, scores, count? A decode= of your own can put them right"
        )
    return np.concatenate(
        [boxes, scores[..., np.newaxis], np.where(used, classes, NO_BOX)[..., np.newaxis]], axis=2
    )


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
    found = np.zeros((len(boxes), most, _COLUMNS))
    found[..., 5] = NO_BOX
    for image, (places, values) in enumerate(zip(boxes, scores, strict=True)):
        box, named = np.nonzero(values >= least)
        kept = suppress(places[box], values[box, named], named, threshold)[:most]
        box, named = box[kept], named[kept]
        found[image, : len(kept)] = np.column_stack([places[box], values[box, named], named])
    return found


TASK = Task("detection", metrics=("map", "map50", "map75"), decode=decode, paired="image")

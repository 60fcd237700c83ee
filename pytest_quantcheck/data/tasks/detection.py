"""Object detection: boxes with a score and a class.

Predictions travel as (N, boxes, 6) ``[ymin, xmin, ymax, xmax, score, class]``, the truth (``Samples.y``) as
(N, boxes, 5) ``[ymin, xmin, ymax, xmax, class]``, in one unit. Unused places have the class ``NO_BOX``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pytest_quantcheck.data.tasks.heads.choice import Choice
from pytest_quantcheck.data.tasks.heads.guess import guessed
from pytest_quantcheck.data.tasks.predictions import COLUMNS, scores_by_class
from pytest_quantcheck.data.tasks.predictions import NO_BOX as NO_BOX
from pytest_quantcheck.data.tasks.predictions import best_boxes as best_boxes
from pytest_quantcheck.data.tasks.task import Decode, Task
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array


def decode(outputs: tuple[Array, ...], inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Predictions (N, boxes, 6) from one output that holds them already, from the four outputs of
    TFLite's ``TFLite_Detection_PostProcess``: boxes (N, M, 4), classes (N, M), scores (N, M), count (N,), or
    from a head that tells itself by the shapes of its outputs (``heads/guess.py``).

    For other heads ``detector`` makes a task.
    """
    ready = _ready(outputs)
    return ready if ready is not None else guessed(Choice())(outputs, inputs)


def _ready(outputs: tuple[Array, ...]) -> tuple[Array, ...] | None:
    """Predictions that a model gives by itself; None for raw outputs."""
    if len(outputs) == 1 and outputs[0].ndim == 3 and outputs[0].shape[2] == COLUMNS:
        return outputs
    if len(outputs) == 4 and outputs[0].ndim == 3 and outputs[0].shape[2] == 4:
        return (_post_processed(*outputs),)
    return None


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


def limited(choice: Choice, anchors: tuple[tuple[float, float], ...] = ()) -> Decode:
    """``decode`` with limits of one's own; ``anchors`` are those of a YOLO head, (width, height) in cells."""

    def decode_limited(outputs: tuple[Array, ...], inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        ready = _ready(outputs)
        if ready is None:
            return guessed(choice, anchors)(outputs, inputs)
        return (choice(ready[0][..., :4], scores_by_class(ready[0])),)

    return decode_limited


TASK = Task("detection", metrics=("map", "map50", "map75"), decode=decode, paired="image")


def detector(head: Decode) -> Task:
    """The task ``detection`` of a model with this head."""
    return replace(TASK, decode=head)

"""What a detector's outputs mean, with the limits of ``postprocessing``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pytest_quantcheck.data.tasks import detection
from pytest_quantcheck.data.tasks.task import Decode, Task
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.workflows.model_zoo.configuration import Configuration


def detector(config: Configuration) -> Task:
    """The task of a detector, with what the file says about its boxes."""
    return replace(detection.TASK, decode=_limited(config))


def _limited(config: Configuration) -> Decode:
    limits = config.postprocessing

    def decode(outputs: tuple[Array, ...], inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        (found,) = detection.decode(outputs, inputs)
        kept = detection.best_boxes(
            found[..., :4],
            _scores(found),
            least=limits.confidence_thresh,
            threshold=limits.NMS_thresh,
            most=limits.max_detection_boxes,
        )
        return (kept,)

    return decode


def _scores(found: Array) -> Array:
    """The scores of predictions (N, M, 6) per class, (N, M, classes); -1 where a box is of another class."""
    kinds = found[..., 5].astype(np.int64)
    classes = np.arange(max(int(kinds.max(initial=0)) + 1, 1))
    return np.where(kinds[..., None] == classes, found[..., 4:5], -1.0)

"""What a detector's outputs mean: the head of its ``general.model_type``, limited by ``postprocessing``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from pytest_quantcheck.data.tasks import detection
from pytest_quantcheck.data.tasks.heads.choice import Choice
from pytest_quantcheck.data.tasks.heads.fomo import Fomo
from pytest_quantcheck.data.tasks.heads.ssd import CORNERS, Ssd
from pytest_quantcheck.data.tasks.heads.yolo import AnchoredYolo, DecodedYolo
from pytest_quantcheck.data.tasks.task import Decode, Task
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.workflows.model_zoo.configuration import Configuration


def detector(config: Configuration) -> Task:
    """The task of a detector, with what the file says about its boxes.

    Outputs that are predictions already (``data/tasks/detection.py``) need no head. Raises ``UsageError``.
    """
    limits = config.postprocessing
    choice = Choice(limits.confidence_thresh, limits.NMS_thresh, limits.max_detection_boxes)
    make = HEADS.get(config.general.model_type or "")
    head = make(config, choice) if make is not None else None

    def decode(outputs: tuple[Array, ...], inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        if head is not None and not _are_predictions(outputs):
            return head(outputs, inputs)
        try:
            (found,) = detection.decode(outputs, inputs)
        except UsageError as error:
            known = ", ".join(HEADS)
            place = config.model_key[0], "model_type"
            raise config.error(f"{error}. Heads are known for: {known}", *place) from error
        return (choice(found[..., :4], _scores(found)),)

    return replace(detection.TASK, decode=decode)


def _ssd(_config: Configuration, choice: Choice) -> Decode:
    return Ssd(offsets=CORNERS, choice=choice)


def _anchored(config: Configuration, choice: Choice) -> Decode:
    given = config.postprocessing.yolo_anchors
    numbers = [each for each in given or () if isinstance(each, (int, float))]
    if not numbers or len(numbers) % 2 or len(numbers) != len(given or ()):
        text = "anchors are needed: width and height in turn, in cells of the grid"
        raise config.error(text, "postprocessing", "yolo_anchors")
    pairs = [(float(w), float(h)) for w, h in zip(numbers[::2], numbers[1::2], strict=True)]
    return AnchoredYolo(_classes(config), pairs, choice=choice)


def _decoded(config: Configuration, choice: Choice) -> Decode:
    return DecodedYolo(_classes(config), choice=choice)


def _fomo(_config: Configuration, choice: Choice) -> Decode:
    return Fomo(choice=choice)


def _classes(config: Configuration) -> int:
    if not config.dataset.class_names:
        raise config.error("the classes are needed to read this head's outputs", "dataset", "class_names")
    return len(config.dataset.class_names)


HEADS: Mapping[str, Callable[[Configuration, Choice], Decode]] = {
    "st_ssd_mobilenet_v1": _ssd,
    "ssd_mobilenet_v2_fpnlite": _ssd,
    "tiny_yolo_v2": _anchored,
    "st_yolo_lc_v1": _anchored,
    "yolo_v8": _decoded,
    "yolo_v5u": _decoded,
    "fomo": _fomo,
}
"""By ``general.model_type``, as the Model Zoo calls them."""


def _are_predictions(outputs: tuple[Array, ...]) -> bool:
    return len(outputs) == 1 and outputs[0].ndim == 3 and outputs[0].shape[2] == 6


def _scores(found: Array) -> Array:
    """The scores of predictions (N, M, 6) per class, (N, M, classes); -1 where a box is of another class."""
    kinds = found[..., 5].astype(np.int64)
    classes = np.arange(max(int(kinds.max(initial=0)) + 1, 1))
    return np.where(kinds[..., None] == classes, found[..., 4:5], -1.0)

"""Persons: a detector of SSD's kind for scenes with persons, and with posts and trees that are none.

Two grids, 12 x 12 and 6 x 6, with two anchors a cell. The outputs are those of the STM32 model zoo's
``st_ssd_mobilenet_v1``: scores (360, 2), the background first, offsets (360, 4) of the corners, in widths and
heights of the anchor, and the anchors (360, 4). The host decodes them (``HEAD``). ``write`` leaves the same
pictures as PNG files with YOLO's text files, and in COCO's form. ``python -m conformance_models persons``
trains the weights in this folder again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conformance_models import fit
from conformance_models.persons.scenes import MOST, SIDE, scene
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.tasks.detection import NO_BOX, detector
from pytest_quantcheck.data.tasks.heads.anchors import anchors
from pytest_quantcheck.data.tasks.heads.choice import Choice
from pytest_quantcheck.data.tasks.heads.ssd import CORNERS, Ssd
from pytest_quantcheck.numerics.boxes import iou

if TYPE_CHECKING:
    import keras

WEIGHTS = Path(__file__).with_name("weights.npz")
CLASSES = ("person",)
TRAIN, CALIBRATION, TEST = range(0, 2400), range(0, 100), range(5000, 5250)  # numbers of scenes
RESCALE = (1 / 127.5, -1.0)
ANCHORS = anchors([(12, 12), (6, 6)], [[0.16, 0.24], [0.34, 0.5]], [[0.42], [0.42]])
HEAD = Ssd(offsets=CORNERS, choice=Choice(least=0.05, threshold=0.45, most=10))
METRIC = "map50"


def build() -> keras.Model:
    """The untrained network: (96, 96, 3) in -1..1 to scores (360, 2), offsets (360, 4), anchors (360, 4)."""
    return _with_anchors(_network())


def _with_anchors(network: keras.Model) -> keras.Model:
    """The same with a third output, which is constant: x1, y1, x2, y2 of each anchor."""
    import keras

    scores, offsets = network.outputs
    corners = ANCHORS[:, [1, 0, 3, 2]].astype(np.float32)[np.newaxis]
    placed = keras.ops.zeros_like(offsets) + corners
    return keras.Model(network.input, [scores, offsets, placed], name="persons")


def _network() -> keras.Model:
    """Without the anchors, which are not trained."""
    import keras
    from keras import layers

    keras.backend.clear_session()  # layer names count from one, so the converted bytes repeat
    picture = layers.Input((SIDE, SIDE, 3), name="picture")
    x = layers.Conv2D(12, 3, strides=2, padding="same", use_bias=False)(picture)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    for channels, stride in ((16, 1), (24, 2), (24, 1), (48, 2), (48, 1)):
        x = _separable(x, channels, stride)
    coarse = _separable(_separable(x, 64, 2), 64, 1)
    scores, offsets = [], []
    for grid in (x, coarse):
        for found, width in ((scores, 2), (offsets, 4)):
            y = layers.Conv2D(2 * width, 3, padding="same")(_separable(grid, 48, 1))
            found.append(layers.Reshape((-1, width))(y))
    outputs = [
        layers.Softmax(name="scores")(layers.Concatenate(axis=1)(scores)),
        layers.Concatenate(axis=1, name="offsets")(offsets),
    ]
    return keras.Model(picture, outputs, name="persons")


def _separable(x: keras.KerasTensor, channels: int, stride: int) -> keras.KerasTensor:
    from keras import layers

    x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Conv2D(channels, 1, use_bias=False)(x)
    return layers.ReLU(6.0)(layers.BatchNormalization()(x))


@cache
def samples(numbers: range) -> Samples:
    """These scenes with their boxes, see ``data/tasks/detection.py``."""
    scenes = [scene(number) for number in numbers]
    pictures = np.stack([picture for picture, _ in scenes]).astype(np.float32)
    y = np.zeros((len(scenes), MOST, 5))
    y[..., 4] = NO_BOX
    for at, (_, boxes) in enumerate(scenes):
        y[at, : len(boxes)] = np.column_stack([boxes, np.zeros(len(boxes))])
    scale, offset = np.float32(RESCALE)
    return Samples(scale * pictures + offset, y, [f"{number:05d}.png" for number in numbers])


def dataset() -> Dataset:
    """100 scenes to calibrate with, of those that train, and 250 others to test."""
    return Dataset(samples(CALIBRATION), samples(TEST), detector(HEAD), CLASSES, (-1.0, 1.0))


def write(folder: Path, numbers: Sequence[int]) -> Path:
    """``folder/00000.png`` with ``00000.txt`` beside it, and ``folder/annotations.json`` in COCO's form."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    document: dict[str, list[Any]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": CLASSES[0]}],
    }
    for number in numbers:
        picture, boxes = scene(number)
        Image.fromarray(picture).save(folder / f"{number:05d}.png")
        lines = []
        document["images"].append(
            {"id": number, "file_name": f"{number:05d}.png", "height": SIDE, "width": SIDE}
        )
        for y0, x0, y1, x1 in boxes:
            lines.append(f"0 {(x0 + x1) / 2:.6f} {(y0 + y1) / 2:.6f} {x1 - x0:.6f} {y1 - y0:.6f}\n")
            box = [SIDE * x0, SIDE * y0, SIDE * (x1 - x0), SIDE * (y1 - y0)]
            document["annotations"].append(
                {"id": len(document["annotations"]) + 1, "image_id": number, "category_id": 1, "bbox": box}
            )
        (folder / f"{number:05d}.txt").write_text("".join(lines))
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def _wanted(y: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What an image's outputs should be: scores (360, 2), 0 and 0 where nothing is wanted, and offsets with a
    mask."""
    scores, offsets = np.zeros((len(ANCHORS), 2), np.float32), np.zeros((len(ANCHORS), 5), np.float32)
    boxes = y[y[:, 4] != NO_BOX, :4]
    if not len(boxes):
        scores[:, 0] = 1
        return scores, offsets
    overlaps = iou(ANCHORS, boxes)
    mine = overlaps.argmax(axis=1)
    mine[overlaps.argmax(axis=0)] = np.arange(len(boxes))
    positive = overlaps.max(axis=1) >= 0.5
    positive[overlaps.argmax(axis=0)] = True
    scores[positive, 1] = 1
    scores[~positive & (overlaps.max(axis=1) < 0.4), 0] = 1
    size = np.tile(ANCHORS[:, 2:] - ANCHORS[:, :2], 2)
    moved = ((boxes[mine] - ANCHORS) / size)[:, [1, 0, 3, 2]]
    offsets[positive] = np.column_stack([moved, np.ones(len(moved))])[positive]
    return scores, offsets


def train() -> keras.Model:
    """The network trained from scratch with fixed seeds."""
    from keras import ops

    def score_loss(wanted: Any, found: Any) -> Any:
        """Focal loss, Lin et al. 2017, with gamma 2."""
        found = ops.clip(found, 1e-6, 1.0)
        return ops.sum(wanted * [[[1.0, 3.0]]] * ops.square(1 - found) * -ops.log(found), axis=(1, 2)) / 6

    def offset_loss(wanted: Any, found: Any) -> Any:
        difference = 10 * ops.abs(wanted[..., :4] - found)
        huber = ops.where(difference < 1, 0.5 * ops.square(difference), difference - 0.5)
        return ops.sum(huber * wanted[..., 4:], axis=(1, 2)) / 12

    data = samples(TRAIN)
    assert isinstance(data.y, np.ndarray)
    x, y = np.asarray(data.x), data.y
    flipped = y[..., [0, 3, 2, 1, 4]] * [1, -1, 1, -1, 1] + [0, 1, 0, 1, 0]  # in a mirror
    flipped[..., 4] = y[..., 4]
    targets = [np.stack(each) for each in zip(*map(_wanted, [*y, *flipped]), strict=True)]
    whole = np.concatenate([x, x[:, :, ::-1]])
    losses = [score_loss, offset_loss]
    return fit.fitted(_network(), whole, targets, loss=losses, epochs=10, batch=48, rate=6e-3)


def network() -> keras.Model:
    """The network with the weights of this folder, without the anchors."""
    return fit.restored(_network(), WEIGHTS)


def float_model() -> keras.Model:
    """The network with the weights of this folder."""
    return _with_anchors(network())

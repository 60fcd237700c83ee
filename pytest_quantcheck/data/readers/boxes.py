"""True boxes of pictures, as fractions of the picture that the model sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.data.readers.pixels import Pixels
from pytest_quantcheck.data.tasks.detection import NO_BOX

Rows = npt.NDArray[np.float64]
"""The boxes of one picture, (boxes, 5): ymin, xmin, ymax, xmax as fractions of it, class."""


def truth(boxes: Sequence[Rows], pixels: Pixels, size_of: Callable[[int], tuple[int, int]]) -> Rows:
    """``Samples.y`` of a detection, (N, boxes, 5): ymin, xmin, ymax, xmax in 0..1, class, ``NO_BOX`` unused.

    ``size_of`` gives height and width of a picture; it is asked only where pictures are cut or padded, which
    moves their boxes. What lies outside is cut off; boxes wholly outside are left out.
    """
    if pixels.aspect_ratio != "fit":
        boxes = [_moved(each, size_of(i), pixels.size) for i, each in enumerate(boxes)]
    kept = [_cut(each) for each in boxes]
    whole = np.zeros((len(kept), max([1, *map(len, kept)]), 5))
    whole[..., 4] = NO_BOX
    for image, each in enumerate(kept):
        whole[image, : len(each)] = each
    return whole


def _cut(boxes: Rows) -> Rows:
    boxes = boxes.reshape(-1, 5).copy()
    boxes[:, :4] = boxes[:, :4].clip(0, 1)
    return boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]


def _moved(boxes: Rows, old: tuple[int, int], new: tuple[int, int]) -> Rows:
    """Boxes after ``tf.image.resize_with_crop_or_pad``, whose offset is half of the difference, rounded
    down."""
    boxes = boxes.reshape(-1, 5).copy()
    for axis, (before, after) in enumerate(zip(old, new, strict=True)):
        shift = (after - before) // 2 if after >= before else -((before - after) // 2)
        boxes[:, [axis, axis + 2]] = (boxes[:, [axis, axis + 2]] * before + shift) / after
    return boxes

"""Boxes in a picture: overlap, and suppression of boxes that find the same thing twice.

A box is ``[ymin, xmin, ymax, xmax]`` in any unit. One whose end lies before its beginning has no area.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.numerics.arrays import Array, IntArray


def iou(first: Array, second: Array) -> npt.NDArray[np.float64]:
    """Intersection over union of every pair of boxes, (A, 4) and (B, 4): (A, B) float64; 0 without area.

    Source: Everingham et al., *The Pascal Visual Object Classes Challenge*, IJCV 88 (2010), section 4.2.
    """
    a, b = (each.reshape(-1, 4).astype(np.float64) for each in (first, second))
    low = np.maximum(a[:, np.newaxis, :2], b[:, :2])
    high = np.minimum(a[:, np.newaxis, 2:], b[:, 2:])
    common = np.maximum(high - low, 0).prod(axis=-1)
    union = _area(a)[:, np.newaxis] + _area(b) - common
    sound = union > 0  # also false for what is not a number
    return np.where(sound, common / np.where(sound, union, 1.0), 0.0)


def _area(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=-1))


def suppress(boxes: Array, scores: Array, classes: Array, threshold: float) -> IntArray:
    """Class-aware non-maximum suppression of M boxes (M, 4): the positions that stay, best score first.

    From the best score down (the first of equal ones), a box stays unless its IoU with a box of its class
    that stays is above ``threshold``. ``scores`` and ``classes`` are (M,).
    """
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    overlaps = iou(boxes[order], boxes[order]) > threshold
    overlaps &= classes[order][:, np.newaxis] == classes[order]
    stays = np.ones(len(order), dtype=np.bool_)
    for place in range(len(order)):
        if stays[place]:
            stays[place + 1 :] &= ~overlaps[place, place + 1 :]
    return np.asarray(order[stays], dtype=np.int64)

"""Heads of SSD's kind: a score per class and four offsets for each anchor."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pytest_quantcheck.data.tasks.heads.anchors import Corners
from pytest_quantcheck.data.tasks.heads.choice import Choice
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array

CORNERS, CENTRES = "corners", "centres"
ACTIVATIONS = ("none", "sigmoid", "softmax")


@dataclass(frozen=True, eq=False)
class Ssd:
    """Outputs scores (N, M, classes) and offsets (N, M, 4), in any order, for M ``anchors``.

    ``offsets``: ``centres`` are ty, tx, th, tw times ``scales`` (Liu et al., *SSD*, 2016, equation 2, in the
    form of TensorFlow's detection models); ``corners`` move x1, y1, x2, y2 by fractions of the anchor's width
    and height, as the STM32 model zoo has it. Without ``anchors`` a third output (N, M, 4) holds them, as x1,
    y1, x2, y2; one output (N, M, classes + 8) holds all three in that order. ``background``: the first class
    is none. ``activation`` makes scores of what the outputs are.
    Boxes are cut off at the edge of the picture.
    """

    anchors: Corners | None = None
    offsets: str = CENTRES
    scales: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    background: bool = True
    activation: str = "none"
    choice: Choice = field(default_factory=Choice)

    def __post_init__(self) -> None:
        for key, value, allowed in (
            ("offsets", self.offsets, (CENTRES, CORNERS)),
            ("activation", self.activation, ACTIVATIONS),
        ):
            if value not in allowed:
                raise UsageError(f"{key}={value!r}: allowed: {', '.join(allowed)}")
        if self.anchors is not None and (self.anchors.ndim != 2 or self.anchors.shape[1] != 4):
            raise UsageError(f"anchors {self.anchors.shape}; allowed: (M, 4) corners ymin, xmin, ymax, xmax")

    def __call__(self, outputs: tuple[Array, ...], _inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Predictions (N, boxes, 6), see ``data/tasks/detection.py``. Raises ``UsageError`` for other
        outputs."""
        scores, offsets, anchors = self._told_apart(outputs)
        decode = moved_centres if self.offsets == CENTRES else moved_corners
        boxes = decode(offsets.astype(np.float64), anchors, self.scales).clip(0, 1)
        values = activated(scores, self.activation)
        return (self.choice(boxes, values[..., 1:] if self.background else values),)

    def _told_apart(self, outputs: tuple[Array, ...]) -> tuple[Array, Array, Corners]:
        """Scores, offsets and anchors, by their shapes; the anchors are the same for every sample."""
        flat = [each.reshape(len(each), -1, each.shape[-1]) for each in outputs if each.ndim > 1]
        if self.anchors is None and len(flat) == 1 and flat[0].shape[2] > 8:
            whole = flat[0]
            return whole[..., :-8], whole[..., -8:-4], _corners(whole[..., -4:])
        wide = [each for each in flat if each.shape[2] == 4]
        others = [each for each in flat if each.shape[2] != 4]
        wanted = 2 if self.anchors is None else 1
        if len(wide) == wanted + 1 and not others:  # four classes: the model zoo's order is scores first
            others = [wide.pop(0)]
        if len(wide) != wanted or len(others) != 1 or any(e.shape[1] != others[0].shape[1] for e in wide):
            self._refuse(outputs)
        if self.anchors is None:
            same = [each for each in wide if (each == each[:1]).all()]
            given = wide[1] if len(same) != 1 else same[0]
            offsets = next(each for each in wide if each is not given)
            return others[0], offsets, _corners(given)
        if len(self.anchors) != wide[0].shape[1]:
            self._refuse(outputs)
        return others[0], wide[0], self.anchors

    def _refuse(self, outputs: tuple[Array, ...]) -> None:
        anchors = "a third one [anchors, 4]" if self.anchors is None else f"{len(self.anchors)} anchors"
        raise UsageError(
            f"outputs {[list(each.shape[1:]) for each in outputs]} are not those of an SSD: allowed: scores "
            f"[anchors, classes] and offsets [anchors, 4], with {anchors}"
        )


def _corners(given: Array) -> Corners:
    """Anchors (N, M, 4) x1, y1, x2, y2, the same for every sample, as corners."""
    return np.asarray(given[0][:, [1, 0, 3, 2]], dtype=np.float64)


def moved_centres(offsets: Array, anchors: Corners, scales: tuple[float, ...]) -> Array:
    size = anchors[:, 2:] - anchors[:, :2]
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2 + offsets[..., :2] / np.asarray(scales[:2]) * size
    half = np.exp(offsets[..., 2:] / np.asarray(scales[2:])) * size / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def moved_corners(offsets: Array, anchors: Corners, _scales: tuple[float, ...]) -> Array:
    size = np.tile(anchors[:, 2:] - anchors[:, :2], 2)
    return np.asarray(anchors + offsets[..., [1, 0, 3, 2]] * size)


def activated(values: Array, activation: str) -> Array:
    """Scores (..., classes) float64 from logits."""
    real = values.astype(np.float64)
    if activation == "softmax":
        powers = np.exp(real - real.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
    return sigmoid(real) if activation == "sigmoid" else real


def sigmoid(values: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))

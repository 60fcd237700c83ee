"""Heads of YOLO's kinds: with anchors, free of them, and with distributions of distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pytest_quantcheck.data.tasks.heads.choice import Choice
from pytest_quantcheck.data.tasks.heads.ssd import activated, sigmoid
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class AnchoredYolo:
    """Outputs (N, rows, columns, anchors * (5 + classes)): per anchor x, y, width, height, confidence,
    classes.

    Centre: (sigmoid(x) + column) / columns; size: exp(width) * anchor / columns, ``anchors`` being (width,
    height) in cells of the grid; score: sigmoid(confidence) * ``activation`` of the classes. Source: Redmon
    and Farhadi, *YOLO9000*, 2017, section 2. Of several outputs, ``strides`` holds the cell's size in pixels
    for each grid, finest first, and ``anchors`` are in pixels.
    """

    classes: int
    anchors: Sequence[tuple[float, float]]
    strides: Sequence[float] = ()
    activation: str = "softmax"
    choice: Choice = field(default_factory=Choice)

    def __call__(self, outputs: tuple[Array, ...], _inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Predictions (N, boxes, 6). Raises ``UsageError`` for outputs of other shapes."""
        wide = len(self.anchors) * (5 + self.classes)
        if len(outputs) != max(1, len(self.strides)) or any(
            o.ndim != 4 or o.shape[3] != wide for o in outputs
        ):
            _refuse(outputs, f"{max(1, len(self.strides))} of [rows, columns, {wide}]")
        finest = sorted(outputs, key=lambda each: -each.shape[1])
        parts = [
            self._decoded(each, np.asarray(self.anchors, dtype=np.float64) / stride)
            for each, stride in zip(finest, self.strides or (1.0,), strict=True)
        ]
        return (self.choice(*(np.concatenate(each, axis=1) for each in zip(*parts, strict=True))),)

    def _decoded(self, output: Array, anchors: Array) -> tuple[Array, Array]:
        size, rows, columns = output.shape[:3]
        real = output.astype(np.float64).reshape(size, rows, columns, len(anchors), 5 + self.classes)
        x = (sigmoid(real[..., 0]) + np.arange(columns).reshape(1, 1, -1, 1)) / columns
        y = (sigmoid(real[..., 1]) + np.arange(rows).reshape(1, -1, 1, 1)) / rows
        width, height = (
            np.exp(real[..., 2]) * anchors[:, 0] / columns,
            np.exp(real[..., 3]) * anchors[:, 1] / rows,
        )
        boxes = np.stack([y - height / 2, x - width / 2, y + height / 2, x + width / 2], axis=-1)
        scores = sigmoid(real[..., 4:5]) * activated(real[..., 5:], self.activation)
        return boxes.clip(0, 1).reshape(size, -1, 4), scores.reshape(size, -1, self.classes)


@dataclass(frozen=True, eq=False)
class DecodedYolo:
    """One output (N, 4 + classes, M) or (N, M, 4 + classes): x, y, width, height and scores, as YOLOv8
    exports them.

    Boxes are fractions of the picture; where ``pixels`` names its (height, width), pixels.
    """

    classes: int
    pixels: tuple[int, int] | None = None
    choice: Choice = field(default_factory=Choice)

    def __call__(self, outputs: tuple[Array, ...], _inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Predictions (N, boxes, 6). Raises ``UsageError`` for outputs of other shapes."""
        wide = 4 + self.classes
        if len(outputs) != 1 or outputs[0].ndim != 3 or wide not in outputs[0].shape[1:]:
            _refuse(outputs, f"one of [{wide}, boxes] or [boxes, {wide}]")
        real = outputs[0].astype(np.float64)
        if real.shape[2] != wide:
            real = real.transpose(0, 2, 1)
        x, y, width, height = (real[..., i] for i in range(4))
        boxes = np.stack([y - height / 2, x - width / 2, y + height / 2, x + width / 2], axis=-1)
        if self.pixels is not None:
            boxes = boxes / np.tile(np.asarray(self.pixels, dtype=np.float64), 2)
        return (self.choice(boxes.clip(0, 1), real[..., 4:]),)


@dataclass(frozen=True, eq=False)
class DistributedYolo:
    """A grid of (N, rows, columns, 4 * bins + classes) per stride: raw outputs of YOLOv8's and later heads.

    The distances from a cell's centre to the left, top, right and bottom edge of its box, in cells, are the
    means of softmax distributions over 0 ... bins - 1; classes are sigmoids. Source: Li et al., *Generalized
    Focal Loss*, 2020, equation 6. The boxes and the classes of a grid may be two outputs.
    """

    classes: int
    bins: int = 16
    choice: Choice = field(default_factory=Choice)

    def __call__(self, outputs: tuple[Array, ...], _inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Predictions (N, boxes, 6). Raises ``UsageError`` for outputs of other shapes."""
        parts = [self._decoded(each) for each in self._grids(outputs)]
        return (self.choice(*(np.concatenate(each, axis=1) for each in zip(*parts, strict=True))),)

    def _grids(self, outputs: tuple[Array, ...]) -> list[Array]:
        """One output per grid; of two that share a grid the boxes come first."""
        wide = 4 * self.bins
        grids: dict[tuple[int, ...], dict[int, Array]] = {}
        for each in outputs:
            if each.ndim == 4:
                grids.setdefault(each.shape[1:3], {})[each.shape[3]] = each
        found = []
        for parts in grids.values():
            joined = parts.get(wide + self.classes)
            if joined is None and wide in parts and self.classes in parts:
                joined = np.concatenate([parts[wide], parts[self.classes]], axis=3)
            if joined is not None:
                found.append(joined)
        if not found or len(found) != len(grids) or any(each.ndim != 4 for each in outputs):
            _refuse(outputs, f"for each grid [rows, columns, {wide} + {self.classes}], joined or apart")
        return found

    def _decoded(self, output: Array) -> tuple[Array, Array]:
        size, rows, columns = output.shape[:3]
        real = output.astype(np.float64).reshape(size, rows * columns, -1)
        spread = activated(real[..., : 4 * self.bins].reshape(size, -1, 4, self.bins), "softmax")
        left, top, right, bottom = np.moveaxis(spread @ np.arange(self.bins), -1, 0)
        y, x = (each.reshape(-1) + 0.5 for each in np.indices((rows, columns)))
        boxes = np.stack(
            [(y - top) / rows, (x - left) / columns, (y + bottom) / rows, (x + right) / columns], axis=-1
        )
        return boxes.clip(0, 1), sigmoid(real[..., 4 * self.bins :])


def _refuse(outputs: tuple[Array, ...], allowed: str) -> None:
    raise UsageError(
        f"outputs {[list(each.shape[1:]) for each in outputs]} are not those of this YOLO; allowed: {allowed}"
    )

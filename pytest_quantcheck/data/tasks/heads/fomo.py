"""Heat maps of FOMO's kind: a class for every cell of a grid, and objects where cells light up."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pytest_quantcheck.data.tasks.heads.choice import Choice
from pytest_quantcheck.data.tasks.heads.ssd import activated
from pytest_quantcheck.data.tasks.predictions import NO_BOX
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Fomo:
    """One output (N, rows, columns, 1 + classes), the background first.

    Cells of one class that score at least ``choice.least`` and touch by an edge are one object: its box is
    around them, its score that of the best cell. Source: Edge Impulse, *FOMO: object detection for
    constrained devices*.
    """

    activation: str = "none"
    choice: Choice = field(default_factory=lambda: Choice(least=0.5))

    def __call__(self, outputs: tuple[Array, ...], _inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Predictions (N, boxes, 6). Raises ``UsageError`` for outputs of other shapes."""
        if len(outputs) != 1 or outputs[0].ndim != 4 or outputs[0].shape[3] < 2:
            raise UsageError(
                f"outputs {[list(each.shape[1:]) for each in outputs]} are no heat map; allowed: one of "
                "[rows, columns, 1 + classes]"
            )
        scores = activated(outputs[0], self.activation)[..., 1:]
        found = np.zeros((len(scores), self.choice.most, 6))
        found[..., 5] = NO_BOX
        for image, heat in enumerate(scores):
            boxes = sorted(self._objects(heat), key=lambda box: -box[4])[: self.choice.most]
            found[image, : len(boxes)] = np.asarray(boxes).reshape(-1, 6)
        return (found,)

    def _objects(self, heat: Array) -> list[tuple[float, ...]]:
        rows, columns, classes = heat.shape
        found: list[tuple[float, ...]] = []
        for kind in range(classes):
            for cells in _touching(heat[..., kind] >= self.choice.least):
                y, x = np.asarray(cells).T
                corners = (y.min() / rows, x.min() / columns, (y.max() + 1) / rows, (x.max() + 1) / columns)
                found.append((*corners, float(heat[y, x, kind].max()), float(kind)))
        return found


def _touching(lit: Array) -> list[list[tuple[int, int]]]:
    """Groups of cells that touch by an edge."""
    left = {(int(y), int(x)) for y, x in np.argwhere(lit)}
    groups = []
    while left:
        group, edge = [], [min(left)]
        left.discard(edge[0])
        while edge:
            y, x = edge.pop()
            group.append((y, x))
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left:
                    left.discard(near)
                    edge.append(near)
        groups.append(group)
    return groups

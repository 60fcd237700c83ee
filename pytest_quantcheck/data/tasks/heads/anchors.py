"""Anchor boxes: the boxes that a detector's offsets start from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import UsageError

Corners = npt.NDArray[np.float64]
"""(M, 4) ymin, xmin, ymax, xmax as fractions of the picture."""


def anchors(
    grids: Sequence[tuple[int, int]],
    sizes: Sequence[Sequence[float]],
    ratios: Sequence[Sequence[float]],
) -> Corners:
    """Anchors of several grids of (rows, columns), grid by grid, row by row, (M, 4) corners.

    A cell has one for each of its grid's ``ratios`` (width by height) of the first size, then one for each
    further size at the first ratio: the order of Liu et al., *SSD*, 2016, in the form of the STM32 model
    zoo. A size is the square root of the area, as a fraction of the picture.
    """
    if not len(grids) == len(sizes) == len(ratios):
        raise UsageError(f"{len(grids)} grids, {len(sizes)} lists of sizes and {len(ratios)} lists of ratios")
    found = []
    for (rows, columns), of_grid, shapes in zip(grids, sizes, ratios, strict=True):
        wide = [(of_grid[0] * r**0.5, of_grid[0] / r**0.5) for r in shapes]
        wide += [(size * shapes[0] ** 0.5, size / shapes[0] ** 0.5) for size in of_grid[1:]]
        y, x = np.meshgrid(
            (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij"
        )
        centres = np.stack([y, x], axis=-1).reshape(-1, 1, 2)
        halves = np.asarray([(height / 2, width / 2) for width, height in wide]).reshape(1, -1, 2)
        found.append(np.concatenate([centres - halves, centres + halves], axis=-1).reshape(-1, 4))
    return np.concatenate(found)


def from_centres(boxes: npt.ArrayLike) -> Corners:
    """Corners of boxes (M, 4) ``y, x, height, width`` about their centres."""
    given = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([given[:, :2] - given[:, 2:] / 2, given[:, :2] + given[:, 2:] / 2], axis=1)

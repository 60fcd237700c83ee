"""Building blocks of pictures: textures, shapes with soft edges, light. All are float64 (height, width, 3) in
0..1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.float64]
Random = np.random.RandomState
Colour = npt.NDArray[np.float64]


@dataclass
class Canvas:
    """A square picture that is drawn on; coordinates are fractions of its side, y first."""

    side: int
    random: Random

    def __post_init__(self) -> None:
        axis = (np.arange(self.side) + 0.5) / self.side
        self.y, self.x = np.meshgrid(axis, axis, indexing="ij")
        self.picture: Picture = np.zeros((self.side, self.side, 3))

    def fill(self, mask: npt.NDArray[np.float64], colour: npt.ArrayLike) -> None:
        """Paint ``colour``, or a picture, where ``mask`` (side, side) is 1."""
        self.picture += mask[..., np.newaxis] * (np.asarray(colour) - self.picture)

    def _soft(self, distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """1 inside, 0 outside, over a pixel's width."""
        return np.clip(0.5 - distance * self.side, 0, 1)

    def ellipse(
        self, y: float, x: float, height: float, width: float, turn: float = 0.0
    ) -> npt.NDArray[np.float64]:
        """The mask of an ellipse about (y, x), turned by radians."""
        v, u = self.y - y, self.x - x
        v, u = v * np.cos(turn) - u * np.sin(turn), v * np.sin(turn) + u * np.cos(turn)
        radius = np.hypot(v / (height / 2), u / (width / 2))
        return self._soft((radius - 1) * min(height, width) / 2)

    def line(self, y0: float, x0: float, y1: float, x1: float, width: float) -> npt.NDArray[np.float64]:
        """The mask of a line with round ends."""
        dy, dx = y1 - y0, x1 - x0
        along = ((self.y - y0) * dy + (self.x - x0) * dx) / max(dy * dy + dx * dx, 1e-9)
        along = np.clip(along, 0, 1)
        return self._soft(np.hypot(self.y - y0 - along * dy, self.x - x0 - along * dx) - width / 2)

    def box(self, y0: float, x0: float, y1: float, x1: float) -> npt.NDArray[np.float64]:
        """The mask of an upright rectangle."""
        outside = np.maximum(np.maximum(y0 - self.y, self.y - y1), np.maximum(x0 - self.x, self.x - x1))
        return self._soft(outside)

    def clouds(self, octaves: int = 4) -> npt.NDArray[np.float64]:
        """Smooth noise in 0..1, (side, side): grids of random numbers, each twice as fine and half as
        strong."""
        total = np.zeros((self.side, self.side))
        for octave in range(octaves):
            cells = 2 ** (octave + 1)
            grid = self.random.uniform(size=(cells + 1, cells + 1))
            v, u = self.y * cells, self.x * cells
            row, column = v.astype(int), u.astype(int)
            v, u = v - row, u - column
            upper = grid[row, column] * (1 - u) + grid[row, column + 1] * u
            lower = grid[row + 1, column] * (1 - u) + grid[row + 1, column + 1] * u
            total += (upper * (1 - v) + lower * v) / 2**octave
        return (total - total.min()) / max(float(np.ptp(total)), 1e-9)

    def stripes(self, period: float, turn: float) -> npt.NDArray[np.float64]:
        """Waves in 0..1, ``period`` apart."""
        return 0.5 + 0.5 * np.sin(2 * np.pi * (self.y * np.cos(turn) + self.x * np.sin(turn)) / period)

    def lit(self, gain: float, noise: float) -> npt.NDArray[np.uint8]:
        """What a camera makes of it: brightness, a gradient of light, and noise, in bytes."""
        slope = self.random.uniform(-0.25, 0.25, 2)
        light = gain * (1 + slope[0] * (self.y - 0.5) + slope[1] * (self.x - 0.5))
        seen = self.picture * light[..., np.newaxis] + self.random.normal(0, noise, self.picture.shape)
        return np.clip(np.rint(seen * 255), 0, 255).astype(np.uint8)


def colour(random: Random, low: float = 0.0, high: float = 1.0) -> Colour:
    """Any colour between two brightnesses."""
    return random.uniform(low, high, 3)

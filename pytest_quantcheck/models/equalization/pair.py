"""``Pair``: two layers between which a channel's scale is free, and how their weights share it.

After Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", sections
4.1 and 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pytest_quantcheck.models.equalization.layer import RELU, Layer
from pytest_quantcheck.numerics.arrays import Array

CLIP = 6.0
DEAD = 1e-4  # of the layer's largest weight: a channel below it is dead, and scaling it would only do harm
LARGEST_FACTOR = 256.0


@dataclass(eq=False)
class Seen:
    """What calibration showed of a layer's output, for each channel."""

    least: Array
    largest: Array
    mean: Array
    deviation: Array


@dataclass(eq=False)
class Pair:
    """Two layers with nothing but homogeneous operators between them.

    ``width`` is the number of input channels of ``second``, a multiple of the channels of ``first`` (a
    flattened picture). ``clipped``: a ReLU6 lies between. ``factors`` divide what ``first`` puts out, 1 for
    channels that are not ``live``; ``size`` is the largest absolute value that calibration showed there.
    """

    first: Layer
    second: Layer
    between: tuple[str, ...]
    width: int
    clipped: bool
    factors: Array
    size: Array
    live: Array
    kept: dict[str, int] = field(default_factory=dict)
    absorbed: int = 0

    @property
    def repeats(self) -> int:
        return self.width // len(self.factors)

    def reaches(self) -> tuple[Array, Array]:
        """The largest absolute weight into and out of each channel between the layers."""
        behind = self.second.input_reach(self.width).reshape(self.repeats, -1).max(axis=0)
        return np.abs(self.first.outputs()).max(axis=1), behind

    def keep(self, channels: Array, why: str) -> None:
        """Leave the scale of these channels as it is."""
        if count := int((channels & self.live).sum()):
            self.kept[why] = count
        self.live = self.live & ~channels

    def absorb(self, seen: Seen) -> None:
        """Move what a channel never falls below from the first layer's bias to the second's (section 4.1.3).

        ``relu(x - c) = relu(x) - c`` where x > c: c is the least value seen, and not above the mean less
        three deviations, as in the paper. A padded layer would see zeros where there was c, and a clip would
        move.
        """
        relu = self.first.activation == RELU and not self.between
        if not relu or not self.second.unpadded:
            return
        constant = np.maximum(np.minimum(seen.least, seen.mean - 3 * seen.deviation), 0)
        self.absorbed = int((constant > 0).sum())
        self.first.bias = self.first.bias - constant
        self.second.bias = self.second.bias + self.second.response(np.tile(constant, self.repeats))
        seen.least, seen.largest = seen.least - constant, seen.largest - constant

    def judge(self, seen: Seen) -> None:
        """Which channels may be scaled. Below the clip of a ReLU6 all stay that do, since no range grows."""
        self.size = np.maximum(np.abs(seen.least), np.abs(seen.largest))
        into, out_of = self.reaches()
        self.keep((into <= DEAD * into.max()) | (out_of <= DEAD * out_of.max()), "dead")
        if self.clipped:
            self.keep(seen.largest >= CLIP, "reaches the clip at 6")

    def equalize(self) -> float:
        """One step of the paper's equation 11; returns the largest change of a factor's logarithm.

        All factors of a pair may be multiplied by the same number; it is chosen so that the range of what
        lies between the layers stays: channels that are not live have to share it.
        """
        if not self.live.any():
            return 0.0
        into, out_of = (reach[self.live] for reach in self.reaches())
        wanted = self.factors[self.live] * np.sqrt(into / out_of)
        size = self.size[self.live]
        if size.any():
            wanted *= (size / wanted).max() / size.max()
        step = np.ones_like(self.factors)
        step[self.live] = np.clip(wanted, 1 / LARGEST_FACTOR, LARGEST_FACTOR) / self.factors[self.live]
        self.factors = self.factors * step
        self.first.scale_outputs(1 / step)
        self.second.scale_inputs(np.tile(step, self.repeats))
        return float(np.abs(np.log(step)).max())

"""Two models on the same samples: which of them is right where, and what chance alone would do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import comb, sqrt
from statistics import NormalDist

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.metrics.metric import Bools


@dataclass(frozen=True)
class Paired:
    """Two models on the same samples: how many only the first (``lost``) or second (``gained``) got right."""

    samples: int
    lost: int
    gained: int

    @property
    def drop(self) -> float:
        """First score minus second, as a fraction."""
        return (self.lost - self.gained) / self.samples

    @property
    def p_value(self) -> float:
        """Exact two-sided McNemar test: how often chance alone flips this unevenly (1.0 without flips)."""
        flips, fewer = self.lost + self.gained, min(self.lost, self.gained)
        tail = sum(comb(flips, k) for k in range(fewer + 1))
        return float(min(Fraction(1), Fraction(2 * tail, 2**flips)))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Two-sided score interval for ``drop`` (Tango, Statistics in Medicine 17:891, 1998).

        Holds also with few or no flips, where the usual normal interval has no width.
        """
        if not 0 < confidence < 1:
            raise UsageError(f"confidence={confidence!r} is out of range; allowed: above 0 and below 1")
        z = NormalDist().inv_cdf((1 + confidence) / 2)
        low = _bisect(lambda delta: self._score(delta) - z, -1.0, self.drop)
        high = _bisect(lambda delta: self._score(delta) + z, self.drop, 1.0)
        return low, high

    def _score(self, delta: float) -> float:
        """Tango's statistic for a true drop of ``delta``: falls from +inf to -inf as delta grows."""
        n, b, c = self.samples, self.lost, self.gained
        distance = b - c - n * delta
        quadratic, linear = 2.0 * n, -b - c + (2 * n - b + c) * delta
        constant = -c * delta * (1 - delta)
        root = sqrt(max(0.0, linear * linear - 4 * quadratic * constant))
        only_second = (root - linear) / (2 * quadratic)
        variance = n * (2 * only_second + delta * (1 - delta))
        if variance <= 0:
            return 0.0 if distance == 0 else float("inf") if distance > 0 else float("-inf")
        return float(distance / sqrt(variance))


def _bisect(falling: Callable[[float], float], low: float, high: float) -> float:
    """The root of a falling function between ``low`` and ``high``, to 1e-9."""
    while high - low > 1e-9:
        middle = (low + high) / 2
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def paired(first: Bools, second: Bools) -> Paired:
    """Flips between two models' right-or-wrong lists on the same samples."""
    if len(first) != len(second) or not len(first):
        raise UsageError(f"pairing needs the same samples: {len(first)} and {len(second)} given")
    return Paired(len(first), int((first & ~second).sum()), int((~first & second).sum()))

"""Two models on the same samples: which of them is right where, and what chance alone would do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import comb
from statistics import NormalDist

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.metrics.margin import p_value, score_statistic
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
        side = (1 + confidence) / 2
        return self.lowest(side), self.highest(side)

    def lowest(self, confidence: float) -> float:
        """The one-sided lower end of the score interval: at least so much is lost, as far as is known."""
        z = NormalDist().inv_cdf(confidence)
        return _bisect(lambda delta: self._score(delta) - z, -1.0, self.drop)

    def highest(self, confidence: float) -> float:
        """The one-sided upper end of the score interval: no more than this is lost, as far as is known."""
        z = NormalDist().inv_cdf(confidence)
        return _bisect(lambda delta: self._score(delta) + z, self.drop, 1.0)

    def p_above(self, margin: float) -> float:
        """How often at most chance alone shows a drop as large as this, or larger, where the true drop is
        ``margin`` or less: small where the drop is surely above it (``margin.p_value``).
        """
        return p_value(self.samples, self.lost, self.gained, margin)

    def p_below(self, margin: float) -> float:
        """The same for a drop as small as this, or smaller, where the true drop is ``margin`` or more."""
        return p_value(self.samples, self.gained, self.lost, -margin)

    def _score(self, delta: float) -> float:
        """Tango's statistic for a true drop of ``delta``: falls from +inf to -inf as delta grows."""
        return float(score_statistic(self.samples, self.lost, self.gained, delta))


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

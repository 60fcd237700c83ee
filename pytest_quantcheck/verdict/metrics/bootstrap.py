"""The paired bootstrap: how far the drop between two models would scatter with other observations.

For metrics that are no mean of right and wrong: AP, AUC, F1, errors in a unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.verdict.metrics.metric import Counted, Counts, Metric

DRAWS = 2000
FEWEST = 30
"""Observations below which a bootstrap says nothing: they cannot show how much they scatter."""

_SEED = 0
_DEFINED = 0.95  # the fraction of draws in which the metric must have a value


@dataclass(frozen=True, eq=False)
class Drops:
    """The drop in each of the draws in which both models have a score; ``observations`` were drawn from."""

    values: npt.NDArray[np.float64]
    observations: int

    @property
    def enough(self) -> bool:
        """Whether there were observations enough to draw from, and a score in nearly every draw."""
        return self.observations >= FEWEST and len(self.values) >= _DEFINED * DRAWS

    def lowest(self, confidence: float) -> float:
        """The one-sided lower end of the percentile interval."""
        return float(np.quantile(self.values, 1 - confidence, method="lower"))

    def highest(self, confidence: float) -> float:
        """The one-sided upper end of the percentile interval."""
        return float(np.quantile(self.values, confidence, method="higher"))

    def p_above(self, margin: float) -> float:
        """The fraction of draws that drop by ``margin`` or less: small where the drop is surely above it."""
        return self._fraction(int((self.values <= margin).sum()))

    def p_below(self, margin: float) -> float:
        """The fraction of draws that drop by ``margin`` or more: small where the drop is surely below it."""
        return self._fraction(int((self.values >= margin).sum()))

    def _fraction(self, draws: int) -> float:
        """Counting what was observed as one draw, so that no p-value is 0."""
        return (draws + 1) / (len(self.values) + 1)


def paired_drops(
    metric: Metric, first: Array, second: Array, truth: Array, clusters: IntArray | None = None
) -> Drops:
    """The drop of ``metric`` from the outputs of the first model to those of the second on ``DRAWS`` draws of
    as many observations, with replacement, the same ones for both models, always from the same seed.

    ``clusters`` (N,) says which observations are drawn together, such as the patches of a clip. Source: Efron
    and Tibshirani, *An Introduction to the Bootstrap* (1993), chapters 8 and 13.
    """
    groups = np.arange(len(first)) if clusters is None else clusters
    count = int(groups.max(initial=-1)) + 1
    if count < FEWEST:
        return Drops(np.zeros(0), count)
    before, after = (_score_of_counts(metric, outputs, truth) for outputs in (first, second))
    generator = np.random.default_rng(_SEED)
    values = np.empty(DRAWS)
    for draw in range(DRAWS):
        counts = np.bincount(generator.integers(count, size=count), minlength=count)[groups]
        values[draw] = before(counts) - after(counts)
    values = values if metric.higher_is_better else -values
    return Drops(values[np.isfinite(values)], count)


def _score_of_counts(metric: Metric, outputs: Array, truth: Array) -> Counted:
    if metric.counted is not None:
        return metric.counted(outputs, truth)

    def score(counts: Counts) -> float:
        index = np.repeat(np.arange(len(counts)), counts)
        return float(metric.score(outputs[index], truth[index]))

    return score

"""Agreement: how often two models name the same class. It says nothing about the truth."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.metrics.classification import decisions
from pytest_quantcheck.verdict.metrics.metric import Bools, Metric, mean
from pytest_quantcheck.verdict.metrics.tally import NO_CLASS


def agreement(outputs: Array, reference: Array) -> float:
    """Fraction of samples on which two models name the same class; NaN of nothing."""
    return mean(_agree(outputs, reference))


def _agree(outputs: Array, reference: Array) -> Bools:
    ours, theirs = decisions(outputs), decisions(reference)
    return np.asarray((ours == theirs) & (ours != NO_CLASS), dtype=np.bool_)


METRICS = (Metric("agreement", agreement, per_sample=_agree, fraction=True, to_float=True),)

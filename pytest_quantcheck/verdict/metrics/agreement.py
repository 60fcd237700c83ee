"""Agreement: how often two models name the same class. It says nothing about the truth."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.metrics.classification import NO_CLASS, decisions
from pytest_quantcheck.verdict.metrics.metric import Bools, Metric


def agreement(outputs: Array, reference: Array) -> float:
    """Fraction of samples on which two models name the same class."""
    return float(_agree(outputs, reference).mean())


def _agree(outputs: Array, reference: Array) -> Bools:
    ours, theirs = decisions(outputs), decisions(reference)
    return np.asarray((ours == theirs) & (ours != NO_CLASS), dtype=np.bool_)


METRICS = (Metric("agreement", agreement, per_sample=_agree, fraction=True, to_float=True),)

"""Regression: how far outputs are from targets, in the outputs' own unit."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.metrics.metric import Metric


def mae(outputs: Array, reference: Array) -> float:
    """Mean absolute error, in the outputs' unit."""
    return float(np.abs(_difference(outputs, reference)).mean())


def rmse(outputs: Array, reference: Array) -> float:
    """Root of the mean squared error, in the outputs' unit."""
    return sqrt(float(np.square(_difference(outputs, reference)).mean()))


def max_error(outputs: Array, reference: Array) -> float:
    """Largest absolute error, in the outputs' unit."""
    return float(np.abs(_difference(outputs, reference)).max(initial=0.0))


def cosine(outputs: Array, reference: Array) -> float:
    """Cosine of the angle between the two output vectors over all samples; 1 when both are zero."""
    a, b = (array.ravel() for array in _same_shape(outputs, reference))
    norm = sqrt(float(a @ a) * float(b @ b))
    if norm == 0:
        return 1.0 if not a.any() and not b.any() else 0.0
    return float(a @ b) / norm


def _difference(outputs: Array, reference: Array) -> npt.NDArray[np.float64]:
    a, b = _same_shape(outputs, reference)
    return np.asarray(a - b)


def _same_shape(outputs: Array, reference: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Both as float64, one row per sample."""
    if outputs.size != reference.size or len(outputs) != len(reference):
        raise UsageError(
            f"shapes differ: {outputs.shape} and {reference.shape}; errors and cosine want targets of the "
            "outputs' shape as y; class labels go with metric='accuracy'"
        )
    rows = len(outputs), -1
    return outputs.astype(np.float64).reshape(rows), reference.astype(np.float64).reshape(rows)


METRICS = (
    Metric("rmse", rmse, higher_is_better=False),
    Metric("mae", mae, higher_is_better=False),
    Metric("max_error", max_error, higher_is_better=False),
    Metric("cosine", cosine),
)

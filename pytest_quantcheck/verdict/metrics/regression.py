"""Regression: how far outputs are from targets, in the outputs' own unit."""

from __future__ import annotations

from math import log10, sqrt

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.metrics.metric import Metric, mean, rows


def mae(outputs: Array, reference: Array) -> float:
    """mean |y - t|: mean absolute error, in the outputs' unit; NaN of nothing. Oracle: scikit-learn."""
    return mean(np.abs(_difference(outputs, reference)))


def rmse(outputs: Array, reference: Array) -> float:
    """sqrt(mean (y - t)^2): root mean squared error, in the outputs' unit; NaN of nothing.

    Oracle: scikit-learn.
    """
    return sqrt(mean(np.square(_difference(outputs, reference))))


def max_error(outputs: Array, reference: Array) -> float:
    """max |y - t|, in the outputs' unit; 0 of nothing. Oracle: scikit-learn."""
    return float(np.abs(_difference(outputs, reference)).max(initial=0.0))


def r2(outputs: Array, reference: Array) -> float:
    """1 - sum (y - t)^2 / sum (t - mean t)^2: the share of the targets' variance that is explained.

    The mean is taken per column of the output, the sums over all. NaN where the targets
    never vary, or there are none. Also called Nash-Sutcliffe efficiency (NSE). Oracle:
    ``sklearn.metrics.r2_score(multioutput="variance_weighted")`` where every column varies.
    """
    y, t = _same_shape(outputs, reference)
    if not t.size or (t == t[0]).all():
        return float("nan")
    return 1 - float(np.square(y - t).sum()) / float(np.square(t - t.mean(axis=0)).sum())


def cosine(outputs: Array, reference: Array) -> float:
    """y . t / (|y| |t|): cosine of the angle between the two output vectors over all samples; 1 when both are
    zero, 0 when one is. Oracle: ``sklearn.metrics.pairwise.cosine_similarity``.
    """
    a, b = (array.ravel() for array in _same_shape(outputs, reference))
    norm = sqrt(float(a @ a)) * sqrt(float(b @ b))
    if norm == 0:
        return 1.0 if not a.any() and not b.any() else 0.0
    return float(a @ b) / norm


def sqnr(outputs: Array, reference: Array) -> float:
    """10 log10(sum t^2 / sum (y - t)^2): signal to quantization noise ratio in dB over all samples.

    Infinite where the two are equal, minus infinite where only the reference is zero. It is no metric that
    a gate can judge, but says per layer where precision is lost. Source: Widrow and Kollar, *Quantization
    Noise* (2008), section 1.2.
    """
    noise = float(np.square(_difference(outputs, reference)).sum())
    signal = float(np.square(reference.astype(np.float64)).sum())
    if noise == 0:
        return float("inf")
    return 10 * log10(signal / noise) if signal else float("-inf")


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
    return rows(outputs.astype(np.float64)), rows(reference.astype(np.float64))


METRICS = (
    Metric("rmse", rmse, higher_is_better=False),
    Metric("mae", mae, higher_is_better=False),
    Metric("max_error", max_error, higher_is_better=False),
    Metric("cosine", cosine),
    Metric("r2", r2, undefined="the targets never vary"),
)

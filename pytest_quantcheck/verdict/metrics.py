"""What a run is worth as numbers: scores of outputs, distances between outputs, and paired statistics.

Pure functions on arrays with the samples first; nothing here knows a runner or a threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import comb, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import UsageError

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Metric:
    """A score of ``(outputs, truth)``. ``per_sample`` is set where a sample is right or wrong.

    ``per_sample(outputs, truth)`` gives N booleans; the score is then their mean, and two runs can
    be compared sample by sample.
    """

    name: str
    score: Callable[[Array, Array], float]
    higher_is_better: bool = True
    per_sample: Callable[[Array, Array], Bools] | None = None
    fraction: bool = False  # shown as a percentage


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


def decisions(outputs: Array) -> npt.NDArray[np.int64]:
    """The class each output names: the largest of the last axis; one value alone is cut at 0.5."""
    flat = outputs.reshape(len(outputs), -1)
    if flat.shape[1] == 1:
        return (flat[:, 0] > 0.5).astype(np.int64)
    return np.asarray(flat.argmax(axis=1), dtype=np.int64)


def correct(outputs: Array, labels: Array) -> Bools:
    """Which of N outputs name their label; labels are (N,) whole numbers or (N, classes) one-hot.

    Raises ``UsageError`` for labels that are none of the classes: no output could ever be right.
    """
    if len(labels) != len(outputs):
        raise UsageError(f"{len(outputs)} outputs, but {len(labels)} labels")
    classes = max(2, outputs[0].size) if len(outputs) else 2
    return np.asarray(decisions(outputs) == _classes(np.asarray(labels), classes), dtype=np.bool_)


def _classes(labels: Array, classes: int) -> npt.NDArray[np.int64]:
    """Labels as class numbers from 0 to ``classes - 1``."""
    flat = labels.reshape(len(labels), -1)
    if flat.dtype.kind not in "iubf" or flat.shape[1] not in (1, classes):
        raise UsageError(
            f"labels are {labels.dtype.name} {labels.shape}; allowed for {classes} classes: whole numbers "
            f"({len(labels)},) or one-hot ({len(labels)}, {classes})"
        )
    if flat.shape[1] == classes:
        return np.asarray(flat.argmax(axis=1), dtype=np.int64)
    known = (flat[:, 0] >= 0) & (flat[:, 0] < classes) & (np.floor(flat[:, 0]) == flat[:, 0])
    if not known.all():
        first = int(known.argmin())
        raise UsageError(f"label {first} is {flat[first, 0]}; the {classes} classes are 0 to {classes - 1}")
    return flat[:, 0].astype(np.int64)


def accuracy(outputs: Array, labels: Array) -> float:
    """Fraction of outputs that name their label."""
    return float(correct(outputs, labels).mean())


def agreement(outputs: Array, reference: Array) -> float:
    """Fraction of samples on which two models name the same class."""
    return float(_agree(outputs, reference).mean())


def _agree(outputs: Array, reference: Array) -> Bools:
    return np.asarray(decisions(outputs) == decisions(reference), dtype=np.bool_)


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


def max_lsb(outputs: Array, reference: Array) -> int:
    """Largest difference of two raw integer arrays, in least significant bits."""
    if outputs.shape != reference.shape:
        raise UsageError(f"shapes differ: {outputs.shape} and {reference.shape}")
    for array in (outputs, reference):
        if array.dtype.kind not in "iub":
            raise UsageError(f"LSB are counted between integers, not {array.dtype}")
    return int(np.abs(outputs.astype(np.int64) - reference.astype(np.int64)).max(initial=0))


def paired(first: Bools, second: Bools) -> Paired:
    """Flips between two models' right-or-wrong lists on the same samples."""
    if len(first) != len(second) or not len(first):
        raise UsageError(f"pairing needs the same samples: {len(first)} and {len(second)} given")
    return Paired(len(first), int((first & ~second).sum()), int((~first & second).sum()))


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


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", accuracy, per_sample=correct, fraction=True),
        Metric("agreement", agreement, per_sample=_agree, fraction=True),
        Metric("rmse", rmse, higher_is_better=False),
        Metric("mae", mae, higher_is_better=False),
        Metric("max_error", max_error, higher_is_better=False),
        Metric("cosine", cosine),
    )
}


def find(metric: str | Callable[[Array, Array], float] | Metric) -> Metric:
    """A metric by name, or a function ``(outputs, truth) -> float`` (higher is better) as one."""
    if isinstance(metric, Metric):
        return metric
    if callable(metric):
        return Metric(getattr(metric, "__name__", "score"), metric)
    if metric not in METRICS:
        raise UsageError(f"metric={metric!r} is not known; allowed: {', '.join(METRICS)} or a function")
    return METRICS[metric]

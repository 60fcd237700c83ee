"""Anomaly detection: how well scores tell anomalous clips (label 1) from normal ones (label 0)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.data.clips import clips
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.metrics.metric import Counted, Counts, Metric, Observations, over_all, rows

MAX_FPR = 0.1
"""The largest false positive rate that ``pauc`` looks at, as in DCASE and MLPerf Tiny."""

_Steps = Callable[[Counts], tuple[Counts, Counts]]


def roc_auc(scores: Array, labels: Array) -> float:
    """The area under the ROC curve: the share of pairs of an anomalous and a normal observation in which
    the anomalous one has the higher score, pairs of equal scores counted half.

    ``scores`` (N,) or (N, 1), ``labels`` (N,) of 0 and 1. NaN without both labels, or with a score that is
    not finite. Source: Hanley and McNeil, Radiology 143 (1982) 29. Oracle: ``sklearn.metrics.roc_auc_score``.
    """
    return over_all(_roc_auc, scores, labels)


def pauc(scores: Array, labels: Array) -> float:
    """The area under the ROC curve up to the false positive rate p = 0.1, standardized: chance is 0.5.

    With the area A under the curve (straight between its points) from 0 to p:
    (1 + (A - p^2 / 2) / (p - p^2 / 2)) / 2. Source: McClish, Medical Decision Making 9 (1989) 190, which the
    evaluation code of DCASE (task 2) and MLPerf Tiny applies through
    ``sklearn.metrics.roc_auc_score(max_fpr=0.1)``; the formula in DCASE's papers is A / p. Same input and
    edge cases as ``roc_auc``.
    """
    return over_all(_pauc, scores, labels)


def _roc_auc(scores: Array, labels: Array) -> Counted:
    steps = _steps(scores, labels)

    def area(counts: Counts) -> float:
        normal, anomalous = steps(counts)
        pairs = int(normal.sum()) * int(anomalous.sum())
        if not pairs:
            return float("nan")
        lower = normal.sum() - np.cumsum(normal)
        return int((anomalous * (2 * lower + normal)).sum()) / (2 * pairs)

    return area


def _pauc(scores: Array, labels: Array) -> Counted:
    steps = _steps(scores, labels)

    def area(counts: Counts) -> float:
        normal, anomalous = steps(counts)
        if not normal.sum() or not anomalous.sum():
            return float("nan")
        false = np.concatenate([[0.0], np.cumsum(normal) / normal.sum()])
        true = np.concatenate([[0.0], np.cumsum(anomalous) / anomalous.sum()])
        stop = int(np.searchsorted(false, MAX_FPR, side="right"))
        x = np.append(false[:stop], MAX_FPR)
        y = np.append(true[:stop], np.interp(MAX_FPR, false[stop - 1 : stop + 1], true[stop - 1 : stop + 1]))
        part = float(((x[1:] - x[:-1]) * (y[1:] + y[:-1])).sum()) / 2
        chance = MAX_FPR * MAX_FPR / 2
        return (1 + (part - chance) / (MAX_FPR - chance)) / 2

    return area


def _steps(scores: Array, labels: Array) -> _Steps:
    """How many normal and anomalous observations each score has, from the highest score down."""
    flat, anomalous = _scores(scores), _labels(labels)
    if len(flat) != len(anomalous):
        raise UsageError(f"{len(flat)} scores, but {len(anomalous)} labels")
    if not np.isfinite(flat).all():
        return lambda _: (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    different, step = np.unique(-flat, return_inverse=True)
    size = len(different)

    def of(counts: Counts) -> tuple[Counts, Counts]:
        normal = np.bincount(step, counts * ~anomalous, minlength=size)
        return normal.astype(np.int64), np.bincount(step, counts * anomalous, minlength=size).astype(np.int64)

    return of


def _scores(scores: Array) -> npt.NDArray[np.float64]:
    if scores.size != len(scores):
        raise UsageError(
            f"anomaly scores are {scores.shape}; allowed: one per sample, the higher the less normal"
        )
    return scores.reshape(-1).astype(np.float64)


def _labels(labels: Array) -> npt.NDArray[np.bool_]:
    flat = rows(np.asarray(labels))
    if flat.dtype.kind not in "iubf" or flat.shape[1] != 1 or not np.isin(flat, (0, 1)).all():
        raise UsageError(
            f"labels are {flat.dtype.name} {labels.shape}; allowed: (N,) of 0 (normal) and 1 (anomalous)"
        )
    return np.asarray(flat.reshape(-1) == 1)


def mean_scores(scores: Array, labels: Array, ids: Sequence[str]) -> Observations:
    """One score per clip: the mean of its windows', (K,) float64, and its label.

    Source: MLPerf Tiny and DCASE task 2, whose clips are scored by the mean over their windows. Raises
    ``UsageError`` where the windows of a clip have several labels.
    """
    flat, truth = _scores(scores), _labels(labels)
    groups = clips(ids)
    sizes = np.bincount(groups.of, minlength=len(groups.names))
    anomalous = np.bincount(groups.of, truth, minlength=len(groups.names))
    mixed = (anomalous > 0) & (anomalous < sizes)
    if mixed.any():
        name = groups.names[int(mixed.argmax())]
        raise UsageError(f"the windows of clip {name!r} have several labels; allowed: one for all of them")
    means = np.bincount(groups.of, flat, minlength=len(groups.names)) / np.maximum(sizes, 1)
    return Observations(means, (anomalous > 0).astype(np.int64), groups.names)


_UNDEFINED = "it needs normal and anomalous observations, and scores that are finite"
METRICS = tuple(
    Metric(
        name,
        score,
        fraction=True,
        labels=True,
        counted=counted,
        gather=mean_scores,
        observation="clip",
        undefined=_UNDEFINED,
    )
    for name, score, counted in (("roc_auc", roc_auc, _roc_auc), ("pauc", pauc, _pauc))
)

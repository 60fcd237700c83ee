"""Audio events: accuracy per patch, and per clip, whose patches vote."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, isfinite

import numpy as np

from pytest_quantcheck.data.clips import clips
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.metrics.classification import accuracy, correct, tables
from pytest_quantcheck.verdict.metrics.metric import Metric, Observations, rows


def vote(outputs: Array, labels: Array, ids: Sequence[str]) -> Observations:
    """One output per clip: the sum of its patches' scores, (K, classes) float64, and its label.

    ``outputs`` are (N, classes). The sums are exact before they are rounded once, so that the order of the
    patches decides nothing; of classes with equal sums the first is named. A clip with a score that is not
    finite names no class. The sum of scores votes as in STM32 Model Zoo's audio event detection, which
    draws lots between equal sums. Raises ``UsageError`` where the patches of a clip have several labels.
    """
    flat = rows(outputs)
    groups = clips(ids)
    members = groups.members()
    _check_labels(labels, groups.names, members)
    sums = [[_sum(column) for column in flat[each].T.tolist()] for each in members]
    voted = np.asarray(sums, dtype=np.float64).reshape(len(members), flat.shape[1])
    if flat.shape[1] == 1:  # one value is cut at 0.5: the clip's is the mean
        voted /= np.asarray([[len(each)] for each in members]).reshape(voted.shape)
    first = np.asarray([each[0] for each in members], dtype=np.int64)
    return Observations(voted, labels[first], groups.names)


def _sum(values: Sequence[float]) -> float:
    return fsum(values) if all(map(isfinite, values)) else float("nan")


def _check_labels(labels: Array, names: Sequence[str], members: Sequence[Array]) -> None:
    for name, each in zip(names, members, strict=True):
        if (labels[each] != labels[each[0]]).any():
            raise UsageError(
                f"the patches of clip {name!r} have several labels; allowed: one for all of them"
            )


METRICS = (
    Metric(
        "clip_accuracy",
        accuracy,
        per_sample=correct,
        fraction=True,
        labels=True,
        gather=vote,
        observation="clip",
        detail=tables,
    ),
    # patches of one clip are no independent samples: no per_sample, so that no exact test counts them
    Metric("patch_accuracy", accuracy, fraction=True, labels=True, detail=tables),
)

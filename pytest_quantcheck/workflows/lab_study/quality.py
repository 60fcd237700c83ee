"""What the lab says about a model's answers: five numbers and a confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.metrics.classification import (
    among_largest,
    class_count,
    correct,
    decisions,
    gmean,
    true_classes,
)
from pytest_quantcheck.verdict.metrics.metric import Bools
from pytest_quantcheck.verdict.metrics.tally import NO_CLASS, mean_of_defined, tally

TOP = 5


@dataclass(frozen=True, eq=False)
class Quality:
    """All are fractions. ``precision`` and ``sensitivity`` are means over classes (``quality``), ``right``
    says per sample whether it was recognised, ``never`` counts classes with samples that were never named.
    """

    accuracy: float
    precision: float
    sensitivity: float
    gmean: float
    top5: float
    right: Bools
    classes: int
    never: int


def quality(outputs: Array, labels: Array) -> Quality:
    """Of outputs (N, classes) and labels (N,).

    precision: hits / named of each class that has samples or is named, 0 for one that is never named;
    sensitivity: hits / samples of each class that has samples. The course's own files have these two under
    each other's names. G-Mean: of the sensitivities. top 5: 1 where there are no more than five classes.
    Oracle: ``sklearn.metrics.precision_score`` and ``recall_score`` with ``average="macro"``.
    """
    decided, truth, classes = decisions(outputs), true_classes(outputs, labels), class_count(outputs)
    found = tally(decided, truth, classes)
    seen = (found.support > 0) | (found.named > 0)
    right = correct(outputs, labels)
    among = among_largest(outputs, labels, TOP) if classes > TOP else decided != NO_CLASS
    return Quality(
        accuracy=float(right.mean()),
        precision=float(np.nan_to_num(found.precision[seen]).mean()),
        sensitivity=mean_of_defined(found.recall),
        gmean=gmean(outputs, labels),
        top5=float(among.mean()),
        right=right,
        classes=classes,
        never=int(((found.support > 0) & (found.named == 0)).sum()),
    )

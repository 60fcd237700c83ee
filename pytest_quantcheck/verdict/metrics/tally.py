"""What was named against what is true, counted per class, and what follows from such counts.

Classes are 0 to C - 1. A decision may be ``NO_CLASS``: it is wrong, and counts as named for no class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.verdict.metrics.metric import Counts
from pytest_quantcheck.verdict.table import CONFUSION, Cell, Table

Floats = npt.NDArray[np.float64]

NO_CLASS = -1
LARGEST_MATRIX = 64
"""Classes: a confusion matrix of more can neither be read nor travel in every row."""


@dataclass(frozen=True, eq=False)
class Tally:
    """Whole numbers (C,): how often each class was named rightly, named at all, and how often it is true."""

    hits: Counts
    named: Counts
    support: Counts

    @property
    def recall(self) -> Floats:
        """hits / support per class, NaN for a class that has no samples."""
        return _ratio(self.hits, self.support)

    @property
    def precision(self) -> Floats:
        """hits / named per class, NaN for a class that was never named."""
        return _ratio(self.hits, self.named)

    @property
    def f1(self) -> Floats:
        """2 hits / (support + named) per class, NaN for a class that neither occurs nor is named."""
        return _ratio(2 * self.hits, self.support + self.named)

    @property
    def iou(self) -> Floats:
        """hits / (support + named - hits) per class, NaN for a class that neither occurs nor is named."""
        return _ratio(self.hits, self.support + self.named - self.hits)

    def table(self, names: Sequence[str], *, iou: bool = False) -> Table:
        """Per class precision, recall and count; with ``iou`` that comes first."""
        columns = {"precision": self.precision, "recall": self.recall, "count": self.support}
        if iou:
            columns = {"iou": self.iou, **columns}
        rows = tuple(zip(*(map(_cell, column.tolist()) for column in columns.values()), strict=True))
        return Table("per class", all_names(names, len(self.support)), tuple(columns), rows, percent=True)


def tally(decided: Counts, truth: Counts, classes: int, counts: Counts | None = None) -> Tally:
    """Decisions (N,) against true classes (N,); each counts once, or ``counts`` (N,) times."""

    def count(which: Counts, chosen: npt.NDArray[np.bool_]) -> Counts:
        weights = None if counts is None else counts[chosen]
        return np.bincount(which[chosen], weights, minlength=classes).astype(np.int64)

    every = np.ones(len(truth), dtype=np.bool_)
    return Tally(count(truth, decided == truth), count(decided, decided != NO_CLASS), count(truth, every))


def matrix(decided: Counts, truth: Counts, classes: int, names: Sequence[str]) -> tuple[Table, ...]:
    """The confusion matrix, row: the true class, column: the one named; nothing of over 64 classes."""
    if classes > LARGEST_MATRIX:
        return ()
    named = decided != NO_CLASS
    cells = np.bincount(truth[named] * classes + decided[named], minlength=classes * classes)
    rows = tuple(map(tuple, cells.reshape(classes, classes).tolist()))
    known = all_names(names, classes)
    return (Table(CONFUSION, known, known, rows),)


def all_names(known: Sequence[str], classes: int) -> tuple[str, ...]:
    """A name for each class: its number where none is known."""
    return tuple(known[k] if k < len(known) else str(k) for k in range(classes))


def mean_of_defined(values: Floats) -> float:
    """The mean of all that are not NaN; NaN where all are."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _ratio(part: Counts, whole: Counts) -> Floats:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _cell(value: float) -> Cell:
    return None if value != value else value

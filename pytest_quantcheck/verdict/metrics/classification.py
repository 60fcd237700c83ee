"""Classification: which class each output names, and how often that is the right one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.verdict.metrics.metric import Bools, Counted, Metric, mean, over_all, rows
from pytest_quantcheck.verdict.metrics.tally import NO_CLASS, Tally, matrix, mean_of_defined, tally
from pytest_quantcheck.verdict.table import Table


def decisions(outputs: Array) -> IntArray:
    """The class each of N outputs names, (N,): the largest of all its values, the first of equal ones; one
    value alone is cut at 0.5. Where any value is not finite, the output names no class: ``NO_CLASS``.

    Raises ``UsageError`` for outputs with more than one axis longer than 1: they name several classes each.
    """
    if sum(size > 1 for size in outputs.shape[1:]) > 1:
        raise UsageError(
            f"outputs {list(outputs.shape[1:])} are not one class vector each, so they name no class; "
            "allowed: one axis longer than 1, a task that reads them (segmentation), or a Task with a decode="
        )
    flat = rows(outputs)
    if flat.shape[1] == 0:
        return np.full(len(flat), NO_CLASS, dtype=np.int64)
    named = flat[:, 0] > 0.5 if flat.shape[1] == 1 else flat.argmax(axis=1)
    finite = np.isfinite(flat).all(axis=1) if flat.dtype.kind in "fc" else np.True_
    return np.where(finite, named, NO_CLASS).astype(np.int64)


def correct(outputs: Array, labels: Array) -> Bools:
    """Which of N outputs name their label; labels are (N,) whole numbers or (N, classes) one-hot.

    Raises ``UsageError`` for labels that are none of the classes: no output could ever be right.
    """
    return np.asarray(decisions(outputs) == true_classes(outputs, labels), dtype=np.bool_)


def true_classes(outputs: Array, labels: Array) -> IntArray:
    """The class of each of N labels, (N,). Raises ``UsageError`` for one that the outputs cannot name."""
    if len(labels) != len(outputs):
        raise UsageError(f"{len(outputs)} outputs, but {len(labels)} labels")
    return _classes(np.asarray(labels), class_count(outputs))


def class_count(outputs: Array) -> int:
    """How many classes outputs (N, ...) tell apart: one value alone tells two."""
    return max(2, outputs[0].size) if len(outputs) else 2


def _classes(labels: Array, classes: int) -> IntArray:
    """Labels as class numbers from 0 to ``classes - 1``."""
    flat = rows(labels)
    if flat.dtype.kind not in "iubf" or flat.shape[1] not in (1, classes):
        raise UsageError(
            f"labels are {labels.dtype.name} {labels.shape}; allowed for {classes} classes: whole numbers "
            f"({len(labels)},) or one-hot ({len(labels)}, {classes})"
        )
    if flat.shape[1] == classes:
        return _largest(flat)
    known = (flat[:, 0] >= 0) & (flat[:, 0] < classes) & (np.floor(flat[:, 0]) == flat[:, 0])
    if not known.all():
        first = int(known.argmin())
        raise UsageError(f"label {first} is {flat[first, 0]}; the {classes} classes are 0 to {classes - 1}")
    return flat[:, 0].astype(np.int64)


def _largest(flat: Array) -> IntArray:
    """The class of each one-hot (or soft) label, which must single out one class."""
    values = flat.astype(np.float64)
    named = values.argmax(axis=1)
    clear = np.isfinite(values).all(axis=1)
    clear &= (values == values[np.arange(len(values)), named][:, np.newaxis]).sum(axis=1) == 1
    if not clear.all():
        first = int(clear.argmin())
        raise UsageError(
            f"label {first} is {flat[first].tolist()}; a one-hot label is finite and has one largest value"
        )
    return np.asarray(named, dtype=np.int64)


def accuracy(outputs: Array, labels: Array) -> float:
    """right / N: the fraction of outputs that name their label; NaN of nothing.

    Oracle: ``sklearn.metrics.accuracy_score``.
    """
    return mean(correct(outputs, labels))


def top_k(k: int) -> Metric:
    """``top3``, ...: the fraction of outputs whose label is among the k largest values.

    Of equal values the first ranks first, so that top 1 is the accuracy. Source: Russakovsky et al.,
    *ImageNet Large Scale Visual Recognition Challenge*, IJCV 115 (2015), section 4.1. Oracle:
    ``sklearn.metrics.top_k_accuracy_score``, which differs where values are equal.
    """

    def among(outputs: Array, labels: Array) -> Bools:
        return among_largest(outputs, labels, k)

    return _of_labels(f"top{k}", lambda outputs, labels: mean(among(outputs, labels)), per_sample=among)


def among_largest(outputs: Array, labels: Array, k: int) -> Bools:
    """Which of N outputs have their label among the ``k`` largest values (see ``top_k``).

    Raises ``UsageError`` where there are no more than k classes: every output would be right.
    """
    classes, truth = class_count(outputs), true_classes(outputs, labels)
    if not len(outputs):
        return np.zeros(0, dtype=np.bool_)
    if k >= classes:
        raise UsageError(
            f"top{k} of {classes} classes is always right; allowed: fewer than there are classes"
        )
    flat = rows(outputs)
    own = flat[np.arange(len(flat)), truth][:, np.newaxis]
    before = (flat > own) | ((flat == own) & (np.arange(classes) < truth[:, np.newaxis]))
    return np.asarray((before.sum(axis=1) < k) & (decisions(outputs) != NO_CLASS), dtype=np.bool_)


def balanced_accuracy(outputs: Array, labels: Array) -> float:
    """The mean of the recalls (right / support) of all classes that have samples.

    Source and oracle: ``sklearn.metrics.balanced_accuracy_score``.
    """
    return over_all(_counted(_mean_recall), outputs, labels)


def gmean(outputs: Array, labels: Array) -> float:
    """The geometric mean of the recalls of all classes that have samples: 0 where one is never recognised.

    Source: Kubat and Matwin, *Addressing the Curse of Imbalanced Training Sets*, ICML 1997.
    """
    return over_all(_counted(_geometric_recall), outputs, labels)


def macro_f1(outputs: Array, labels: Array) -> float:
    """The mean of F1 = 2 right / (support + named) over all classes that have samples or are named.

    Source: Opitz and Burst, *Macro F1 and Macro F1* (2019), the first of their two. Oracle:
    ``sklearn.metrics.f1_score(average="macro", zero_division=0)``.
    """
    return over_all(_counted(_mean_f1), outputs, labels)


def _mean_recall(found: Tally) -> float:
    return mean_of_defined(found.recall)


def _mean_f1(found: Tally) -> float:
    return mean_of_defined(found.f1)


def _geometric_recall(found: Tally) -> float:
    recalls = found.recall[found.support > 0]
    if not len(recalls):
        return float("nan")
    return float(np.exp(np.log(recalls).mean())) if recalls.all() else 0.0


def _counted(summary: Callable[[Tally], float]) -> Callable[[Array, Array], Counted]:
    """A summary of the counts per class as a function of how often each sample counts."""

    def prepare(outputs: Array, labels: Array) -> Counted:
        decided, truth, classes = decisions(outputs), true_classes(outputs, labels), class_count(outputs)
        return lambda counts: summary(tally(decided, truth, classes, counts))

    return prepare


def tables(outputs: Array, labels: Array, classes: Sequence[str]) -> tuple[Table, ...]:
    """Precision, recall and count per class, and the confusion matrix."""
    decided, truth, size = decisions(outputs), true_classes(outputs, labels), class_count(outputs)
    return tally(decided, truth, size).table(classes), *matrix(decided, truth, size, classes)


def _of_labels(
    name: str,
    score: Callable[[Array, Array], float],
    *,
    per_sample: Callable[[Array, Array], Bools] | None = None,
    summary: Callable[[Tally], float] | None = None,
) -> Metric:
    return Metric(
        name,
        score,
        per_sample=per_sample,
        fraction=True,
        labels=True,
        counted=_counted(summary) if summary is not None else None,
        detail=tables,
    )


METRICS = (
    _of_labels("accuracy", accuracy, per_sample=correct),
    top_k(3),
    top_k(5),
    _of_labels("balanced_accuracy", balanced_accuracy, summary=_mean_recall),
    _of_labels("gmean", gmean, summary=_geometric_recall),
    _of_labels("macro_f1", macro_f1, summary=_mean_f1),
)

"""Classification: which class each output names, and how often that is the right one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.metrics.metric import Bools, Metric

NO_CLASS = -1


def decisions(outputs: Array) -> npt.NDArray[np.int64]:
    """The class each of N outputs names, (N,): the largest of all its values, the first of equal ones; one
    value alone is cut at 0.5. Where any value is not finite, the output names no class: ``NO_CLASS``.
    """
    flat = outputs.reshape(len(outputs), -1)
    if flat.shape[1] == 0:
        return np.full(len(flat), NO_CLASS, dtype=np.int64)
    named = flat[:, 0] > 0.5 if flat.shape[1] == 1 else flat.argmax(axis=1)
    finite = np.isfinite(flat).all(axis=1) if flat.dtype.kind in "fc" else np.True_
    return np.where(finite, named, NO_CLASS).astype(np.int64)


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
        return _largest(flat)
    known = (flat[:, 0] >= 0) & (flat[:, 0] < classes) & (np.floor(flat[:, 0]) == flat[:, 0])
    if not known.all():
        first = int(known.argmin())
        raise UsageError(f"label {first} is {flat[first, 0]}; the {classes} classes are 0 to {classes - 1}")
    return flat[:, 0].astype(np.int64)


def _largest(flat: Array) -> npt.NDArray[np.int64]:
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
    """Fraction of outputs that name their label."""
    return float(correct(outputs, labels).mean())


METRICS = (Metric("accuracy", accuracy, per_sample=correct, fraction=True),)

"""Datasets and test vectors: float, preprocessed, samples first, each with a stable name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.wording import counted

Array = npt.NDArray[Any]
Inputs = Union[Array, tuple[Array, ...]]
TASKS = ("classification", "regression")
"""What a model is for: with labels the one is scored by accuracy, the other by RMSE."""


@dataclass(frozen=True, eq=False)
class Samples:
    """``x``: one array (N, ...) or a tuple of arrays for several inputs; ``y``: labels (N,) or None.

    ``ids`` are N stable names: sampling, pairing and baselines go by them. ``named`` says whether they
    were given, or are positions because none were.
    """

    x: Inputs
    y: Array | None = None
    ids: Sequence[str] | None = None
    named: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        arrays = self.inputs
        if not arrays or any(not isinstance(a, np.ndarray) or a.ndim < 1 for a in arrays):
            raise UsageError("samples are NumPy arrays with the sample axis first, or a tuple of such arrays")
        n = len(arrays[0])
        object.__setattr__(self, "named", self.ids is not None)
        if any(len(a) != n for a in arrays):
            raise UsageError(f"inputs have different numbers of samples: {[len(a) for a in arrays]}")
        if self.y is not None and len(self.y) != n:
            raise UsageError(f"{counted(n, 'sample')}, but {counted(len(self.y), 'label')}")
        ids = [str(i) for i in self.ids] if self.ids is not None else [f"{i:06d}" for i in range(n)]
        if len(ids) != n:
            raise UsageError(f"{counted(n, 'sample')}, but {counted(len(ids), 'id')}")
        if len(set(ids)) != n:
            raise UsageError("sample ids are not unique")
        object.__setattr__(self, "ids", tuple(ids))

    def __repr__(self) -> str:
        arrays = ", ".join(f"{a.dtype}{list(a.shape)}" for a in self.inputs)
        return f"Samples({arrays}, {'no' if self.y is None else len(self)} labels)"

    @property
    def inputs(self) -> tuple[Array, ...]:
        """The inputs as a tuple, also when there is one."""
        return self.x if isinstance(self.x, tuple) else (self.x,)

    @property
    def names(self) -> tuple[str, ...]:
        """The ids, never None."""
        assert self.ids is not None
        return tuple(self.ids)

    def __len__(self) -> int:
        return len(self.inputs[0])

    def take(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> Samples:
        """The samples at ``indices``, in that order."""
        index = np.asarray(indices, dtype=np.int64)
        arrays = tuple(a[index] for a in self.inputs)
        names = self.names
        taken = Samples(
            arrays if isinstance(self.x, tuple) else arrays[0],
            None if self.y is None else self.y[index],
            [names[i] for i in index],
        )
        object.__setattr__(taken, "named", self.named)
        return taken


@dataclass(frozen=True, eq=False)
class Raw:
    """Marks inputs that are already integers in the model's own input type, (N, ...) each."""

    x: Inputs


@dataclass(frozen=True, eq=False)
class Dataset:
    """What the data are: calibration and test samples, the task, the classes, the input range.

    ``task`` is one of ``TASKS``; ``classes`` names the labels 0, 1, ... of a classification. ``UsageError``
    for another task, for labels without a name where there are names, and for an empty test set.
    """

    calibration: Samples
    test: Samples
    task: str = "classification"
    classes: tuple[str, ...] = ()
    input_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not len(self.test):
            raise UsageError("the test set has no samples; give the Dataset at least one")
        if self.task not in TASKS:
            raise UsageError(f"task={self.task!r} is not known; allowed: {', '.join(TASKS)}")
        object.__setattr__(self, "classes", tuple(str(name) for name in self.classes))
        if self.classes and self.task == "classification":
            self._check_labels()
        if self.input_range is None:
            return
        low, high = self.input_range
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise UsageError(f"input_range={self.input_range!r}: two finite numbers, the lower one first")

    def _check_labels(self) -> None:
        for words, samples in (("calibration", self.calibration), ("test", self.test)):
            labels, names = np.asarray([] if samples.y is None else samples.y), len(self.classes)
            largest = labels.max() if labels.size and labels.dtype.kind in "biuf" else 0
            if largest >= names:
                raise UsageError(
                    f"the largest label of the {words} samples is {largest}, and classes= names "
                    f"{counted(names, 'label')}: labels count from 0"
                )

"""``Metric``: a number that says how good outputs are. One file per kind of task beside this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.verdict.table import Table

Bools = npt.NDArray[np.bool_]
Counts = IntArray
Counted = Callable[[Counts], float]


@dataclass(frozen=True)
class Observations:
    """What a metric is computed over, where that is not the samples: K predictions, truths and names."""

    outputs: Array
    truth: Array
    names: tuple[str, ...]


@dataclass(frozen=True)
class Metric:
    """A score of ``(outputs, truth)``, N first; NaN where it has none, which ``undefined`` explains.

    ``per_sample`` is set where a sample is right or wrong: ``per_sample(outputs, truth)`` gives N booleans.
    The score is then their mean, and two runs are compared sample by sample.
    ``counted(outputs, truth)`` does once what does not depend on how often each sample counts, and returns
    the score as a function of that, (N,) whole numbers: resampling asks for it a thousand times.
    ``gather(outputs, truth, ids)`` makes the observations, called ``observation``, from the samples.
    ``detail(outputs, truth, classes)`` gives the numbers behind the score; ``classes`` are their names, as
    far as they are known.
    """

    name: str
    score: Callable[[Array, Array], float]
    higher_is_better: bool = True
    per_sample: Callable[[Array, Array], Bools] | None = None
    fraction: bool = False  # lies in 0..1 and is shown as a percentage
    to_float: bool = False  # compares with the float model's outputs, never with labels
    labels: bool = False  # compares with labels, never with the float model's outputs
    counted: Callable[[Array, Array], Counted] | None = None
    gather: Callable[[Array, Array, Sequence[str]], Observations] | None = None
    observation: str = ""
    detail: Callable[[Array, Array, Sequence[str]], tuple[Table, ...]] | None = None
    undefined: str = ""


def over_all(counted: Callable[[Array, Array], Counted], outputs: Array, truth: Array) -> float:
    """The score in which every sample counts once."""
    return counted(outputs, truth)(np.ones(len(outputs), dtype=np.int64))


def mean(values: Array) -> float:
    """The mean, NaN of nothing."""
    return float(values.mean()) if values.size else float("nan")


def rows(array: Array) -> Array:
    """N samples as N rows, also where N is 0."""
    return array.reshape(len(array), prod(array.shape[1:]))

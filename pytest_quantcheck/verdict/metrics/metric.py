"""``Metric``: a number that says how good outputs are. One file per kind of task beside this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.numerics.arrays import Array

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
    fraction: bool = False  # lies in 0..1 and is shown as a percentage
    to_float: bool = False  # compares with the float model's outputs, never with labels

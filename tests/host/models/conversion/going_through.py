"""Functions for the worker process, which go through arrays that the parent makes row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array


def rows_in_order(samples: Sequence[Array], order: Sequence[tuple[int, int, int]]) -> bytes:
    """For each (array, start, stop): the sum of these rows."""
    return np.asarray([float(samples[which][start:stop].sum()) for which, start, stop in order]).tobytes()


def give_up(samples: Sequence[Array]) -> bytes:
    """After the first row, while the next block is being made."""
    raise UsageError(f"enough after {float(samples[0][0:1].sum()):g}")

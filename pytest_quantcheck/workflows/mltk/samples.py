"""Calibration samples as MLTK generates them: one after the other, in the order of the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from pytest_quantcheck.numerics.arrays import Float32


def validation(model: Any) -> Iterator[list[Any]]:
    """One sample after the other, in the order of the data, as MLTK's ``generate`` does."""
    if hasattr(model, "load_dataset"):
        model.load_dataset(subset="validation")
    data = getattr(model, "validation_data", None)
    data = getattr(model, "x", None) if data is None else data
    if data is None:
        return
    whole = isinstance(data, np.ndarray) or (isinstance(data, tuple) and isinstance(data[0], np.ndarray))
    for batch in [data] if whole else data:
        x = batch[0] if isinstance(batch, tuple) else batch
        inputs = list(x) if isinstance(x, (list, tuple)) else [x]
        for rows in zip(*inputs, strict=True):
            yield [np.asarray(row)[None] for row in rows]


def stacked(samples: Iterable[Any], most: int) -> list[Float32]:
    """Up to ``most`` samples, one array (N, ...) per input."""
    kept: list[list[Any]] = []
    for sample in samples:
        if len(kept) == most:
            break
        kept.append(list(sample))
    return [np.concatenate([np.asarray(x, np.float32) for x in column]) for column in zip(*kept, strict=True)]

"""Two runs of one model: how far their raw integers are apart, and how many of them."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.metrics.metric import Bools, Counts, rows


def identical(outputs: Array, reference: Array) -> bool:
    """Whether two arrays of one shape and dtype are bit for bit the same; true of empty ones."""
    return not _unequal(outputs, reference).any()


def differing_elements(outputs: Array, reference: Array) -> float:
    """The fraction of elements of two arrays of one shape that are not bit for bit the same; 0.0 if empty."""
    unequal = _unequal(outputs, reference)
    return float(unequal.mean()) if unequal.size else 0.0


def differing_samples(outputs: Array, reference: Array) -> float:
    """The fraction of samples with an element that is not bit for bit the same; 0.0 without samples."""
    unequal = rows(_unequal(outputs, reference)).any(axis=1)
    return float(unequal.mean()) if unequal.size else 0.0


def max_lsb(outputs: Array, reference: Array) -> int:
    """Largest difference of two raw integer arrays, in least significant bits; 0 of empty ones."""
    return int(np.abs(_steps(outputs, reference)).max(initial=0))


def lsb_histogram(outputs: Array, reference: Array) -> tuple[tuple[int, int], ...]:
    """How many elements differ by how many LSB: ``(outputs - reference, elements)``, ascending, also 0.

    Both are raw integer arrays of one shape.
    """
    steps, elements = np.unique(_steps(outputs, reference), return_counts=True)
    return tuple(zip(steps.tolist(), elements.tolist(), strict=True))


def _steps(outputs: Array, reference: Array) -> Counts:
    if outputs.shape != reference.shape:
        raise UsageError(f"shapes differ: {outputs.shape} and {reference.shape}")
    for array in (outputs, reference):
        if array.dtype.kind not in "iub":
            raise UsageError(f"LSB are counted between integers, not {array.dtype}")
    return np.asarray(outputs.astype(np.int64) - reference.astype(np.int64))


def _unequal(outputs: Array, reference: Array) -> Bools:
    """Which elements differ in any bit, so that a NaN is itself and 0.0 is not -0.0."""
    if outputs.shape != reference.shape or outputs.dtype != reference.dtype:
        raise UsageError(
            f"not the same model: {outputs.dtype}{list(outputs.shape)} and "
            f"{reference.dtype}{list(reference.shape)}"
        )
    width = outputs.dtype.itemsize
    ours, theirs = (
        np.ascontiguousarray(each).reshape(-1).view(np.uint8).reshape(-1, width)
        for each in (outputs, reference)
    )
    return np.asarray((ours != theirs).any(axis=1).reshape(outputs.shape))

"""Two runs of one model: how far their raw integers are apart, and how many of them."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array


def max_lsb(outputs: Array, reference: Array) -> int:
    """Largest difference of two raw integer arrays, in least significant bits."""
    if outputs.shape != reference.shape:
        raise UsageError(f"shapes differ: {outputs.shape} and {reference.shape}")
    for array in (outputs, reference):
        if array.dtype.kind not in "iub":
            raise UsageError(f"LSB are counted between integers, not {array.dtype}")
    return int(np.abs(outputs.astype(np.int64) - reference.astype(np.int64)).max(initial=0))


def differing_elements(outputs: Array, reference: Array) -> float:
    """The fraction of elements of two arrays of one shape that are not bit for bit the same; 0.0 if empty."""
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
    return float((ours != theirs).any(axis=1).mean()) if len(ours) else 0.0

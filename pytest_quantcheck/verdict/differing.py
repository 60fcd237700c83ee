"""Which samples of two runs differ: asked in every check, so it costs no more than NumPy."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import IntArray
from pytest_quantcheck.runners.run import Run


def differing_samples(run: Run, reference: Run) -> IntArray:
    """Positions of the samples whose raw outputs are not bit for bit the same."""
    if len(run) != len(reference) or len(run.outputs) != len(reference.outputs):
        raise UsageError(
            f"{run.runner} has {len(run)} samples with {len(run.outputs)} outputs, "
            f"{reference.runner} {len(reference)} with {len(reference.outputs)}: not the same vectors"
        )
    unequal = np.zeros(len(run), dtype=np.bool_)
    for ours, theirs in zip(run.outputs, reference.outputs, strict=True):
        if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
            raise UsageError(
                f"outputs of {run.runner} are {ours.dtype}{list(ours.shape)}, those of "
                f"{reference.runner} {theirs.dtype}{list(theirs.shape)}: not the same model"
            )
        rows = np.ascontiguousarray(ours).reshape(len(run), -1).view(np.uint8)
        others = np.ascontiguousarray(theirs).reshape(len(run), -1).view(np.uint8)
        unequal |= (rows != others).any(axis=1)
    return np.flatnonzero(unequal)

"""``Task``: what a model is for, as far as its outputs decide it. One file per task beside this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_quantcheck.numerics.arrays import Array

Decode = Callable[[tuple[Array, ...], tuple[Array, ...]], tuple[Array, ...]]


def as_they_are(outputs: tuple[Array, ...], _inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Outputs that need no decoding."""
    return outputs


CLIP = "clip"


@dataclass(frozen=True)
class Task:
    """How a dataset's outputs are read and scored.

    ``metrics`` are the names of the metrics that are computed by default where there is truth
    (``Samples.y``): the first one is judged, the others are shown. ``unlabelled`` names, first, the one that
    compares with the float model where there is none.
    ``decode(outputs, inputs)`` turns all dequantized outputs, (N, ...) float32 each, into the predictions
    that metrics take; ``inputs`` are what they were computed from, (N, ...) float each.
    ``paired`` is what one observation is called: two runs are compared observation by observation. ``CLIP``:
    the samples of one clip belong together (``data/clips.py``).
    ``labels``: the truth is the number of a class.
    """

    name: str
    metrics: tuple[str, ...]
    unlabelled: tuple[str, ...] = ()
    decode: Decode = as_they_are
    paired: str = "sample"
    labels: bool = False

"""Does another preprocessing make the float model better? Then the samples are not what it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.metrics.metric import Bools
from pytest_quantcheck.verdict.metrics.paired import paired

FEWEST = 20
RISE = 0.02  # of the accuracy: less is not reported
SURE = 0.001
GOOD_ENOUGH = 0.98

Change = Callable[[Array], Array]


def changes(x: Array) -> Iterator[tuple[str, Change]]:
    """Usual mistakes of preprocessing, undone: ``(in words, how)`` for inputs (N, ...) of this shape."""
    yield "divided by 255", lambda a: a / 255
    yield "mapped by x / 127.5 - 1", lambda a: a / 127.5 - 1
    yield "multiplied by 255", lambda a: a * 255
    yield "mapped from -1..1 to 0..1", lambda a: (a + 1) / 2
    yield "mapped from 0..1 to -1..1", lambda a: a * 2 - 1
    if x.ndim in (3, 4) and x.shape[1] == x.shape[2] and x.shape[1] > 1:
        yield "transposed (height and width swapped)", lambda a: np.swapaxes(a, 1, 2)
    if x.ndim == 4 and x.shape[3] > 1:
        yield "reversed in channel order (RGB and BGR)", lambda a: a[..., ::-1]
    if x.ndim == 4 and min(x.shape[1:]) > 1:
        yield "read as channels first (NCHW)", lambda a: np.moveaxis(a.reshape(_first(a)), 1, 3)


def _first(a: Array) -> tuple[int, int, int, int]:
    count, height, width, channels = a.shape
    return count, channels, height, width


def preprocessing_findings(samples: Samples, right: Callable[[Samples], Bools]) -> Iterator[Finding]:
    """``right(samples)`` says for each sample whether the float model names its class. One input only."""
    if len(samples) < FEWEST or len(samples.inputs) != 1:
        return
    before = right(samples)
    if before.mean() >= GOOD_ENOUGH:
        return
    x = np.asarray(samples.inputs[0], dtype=np.float32)
    tried = [(words, right(_changed(samples, change(x)))) for words, change in changes(x)]
    words, after = max(tried, key=lambda each: float(each[1].mean()))
    flips = paired(before, after)
    if after.mean() - before.mean() >= RISE and flips.p_value <= SURE:
        yield Finding(
            "warning",
            "preprocessing",
            f"On {len(samples)} test samples the float model is right on {before.mean():.1%}; with the "
            f"samples {words} it would be right on {after.mean():.1%} (tried on the float model).",
            "The samples are not preprocessed as in training: apply that step in the data function.",
        )


def _changed(samples: Samples, x: Array) -> Samples:
    return Samples(np.ascontiguousarray(x, dtype=np.float32), samples.y, samples.ids)

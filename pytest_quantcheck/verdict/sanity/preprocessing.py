"""Does another preprocessing make the float model better? Then the samples are not what it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations

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
_HALF = 0.5  # of what the float model has wrong must become right, else a change is a suspicion
_TRIED = ((100_000, 200), (1_000_000, 64))  # bytes of the float model, samples on which changes are tried
_TRIED_OF_LARGE = 32

Change = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Better:
    """A change with which the float model is right on more samples; ``code`` is an entry of the catalogue."""

    code: str
    words: str
    before: Bools
    after: Bools

    @property
    def convincing(self) -> bool:
        """Whether most of what was wrong is right with it; a partial rise has often another reason."""
        return bool(self.after.mean() - self.before.mean() >= _HALF * (1 - self.before.mean()))

    @property
    def sentence(self) -> str:
        """What was tried and what came of it."""
        return (
            f"On {len(self.before)} test samples the float model is right on {self.before.mean():.1%}; with "
            f"the samples {self.words} it would be right on {self.after.mean():.1%} "
            "(tried on the float model)."
        )


def changes(x: Array) -> Iterator[tuple[str, str, Change]]:
    """Usual mistakes of preprocessing, undone: ``(code, in words, how)`` for inputs (N, ...) of a shape."""
    yield "preprocessing", "divided by 255", lambda a: a / 255
    yield "preprocessing", "mapped by x / 127.5 - 1", lambda a: a / 127.5 - 1
    yield "preprocessing", "multiplied by 255", lambda a: a * 255
    yield "preprocessing", "mapped by (x + 1) * 127.5", lambda a: (a + 1) * 127.5
    yield "preprocessing", "mapped from -1..1 to 0..1", lambda a: (a + 1) / 2
    yield "preprocessing", "mapped from 0..1 to -1..1", lambda a: a * 2 - 1
    yield "preprocessing", "inverted (largest minus value)", lambda a: a.max() - a
    for low, high in ((0, 1), (-1, 1), (0, 255)):
        words = f"stretched to {low}..{high}"
        yield "preprocessing", words, partial(_stretched, low=low, high=high)
    yield "preprocessing", "standardised (mean 0, deviation 1)", lambda a: (a - a.mean()) / (a.std() or 1)
    if x.ndim in (3, 4) and x.shape[1] == x.shape[2] and x.shape[1] > 1:
        yield "input_transposed", "transposed (height and width swapped)", lambda a: np.swapaxes(a, 1, 2)
        yield "input_turned", "turned to the left", lambda a: np.rot90(a, 1, (1, 2))
        yield "input_turned", "turned to the right", lambda a: np.rot90(a, 3, (1, 2))
    if x.ndim in (3, 4) and x.shape[1] > 1 and x.shape[2] > 1:
        yield "input_turned", "turned upside down", lambda a: a[:, ::-1]
        yield "input_turned", "mirrored", lambda a: a[:, :, ::-1]
        yield "input_turned", "turned by 180 degrees", lambda a: a[:, ::-1, ::-1]
    if x.ndim == 4 and x.shape[3] > 1:
        yield "channel_order", "reversed in channel order (RGB and BGR)", lambda a: a[..., ::-1]
    if x.ndim == 4 and min(x.shape[1:]) > 1:
        yield (
            "input_layout",
            "read as channels first (NCHW)",
            lambda a: np.moveaxis(a.reshape(_first(a)), 1, 3),
        )


def _stretched(a: Array, low: float, high: float) -> Array:
    least, most = float(a.min()), float(a.max())
    return np.asarray((a - least) / ((most - least) or 1) * (high - low) + low)


def _first(a: Array) -> tuple[int, int, int, int]:
    count, height, width, channels = a.shape
    return count, channels, height, width


def most_tried(size: int) -> int:
    """On how many samples changes are tried with a float model of so many bytes."""
    return next((count for limit, count in _TRIED if size <= limit), _TRIED_OF_LARGE)


def preprocessing_findings(samples: Samples, right: Callable[[Samples], Bools]) -> Iterator[Finding]:
    """``right(samples)`` says for each sample whether the float model names its class. One input only."""
    if len(samples.inputs) != 1:
        return
    best = best_change(samples, right)
    if best is not None:
        remedy = (
            "The samples are not preprocessed as in training: apply that step in the data function."
            if best.convincing
            else "Compare the data function with the training's preprocessing: a step may differ."
        )
        yield Finding("warning", "preprocessing", best.sentence, remedy)


def best_change(
    samples: Samples, right: Callable[[Samples], Bools], calibration: Samples | None = None
) -> Better | None:
    """The change that makes the float model right most often, where chance does not explain it; None where
    there is none. ``calibration``: whose mean and spread the samples may be meant to have, too.
    """
    if len(samples) < FEWEST:
        return None
    before = right(samples)
    if before.mean() >= GOOD_ENOUGH:
        return None
    tried = [Better(code, words, before, right(made)) for code, words, made in _made(samples, calibration)]
    best = max(tried, key=lambda each: float(each.after.mean()), default=None)
    if best is None or best.after.mean() - before.mean() < RISE:
        return None
    return best if paired(before, best.after).p_value <= SURE else None


def _made(samples: Samples, calibration: Samples | None) -> Iterator[tuple[str, str, Samples]]:
    """``(code, in words, changed samples)``."""
    if len(samples.inputs) > 1:
        for a, b in combinations(range(len(samples.inputs)), 2):
            if samples.inputs[a].shape == samples.inputs[b].shape:
                swapped = list(samples.inputs)
                swapped[a], swapped[b] = swapped[b], swapped[a]
                made = Samples(tuple(swapped), samples.y, samples.ids)
                yield "inputs_swapped", f"given with inputs {a} and {b} exchanged", made
        return
    x = np.asarray(samples.inputs[0], dtype=np.float32)
    for code, words, change in changes(x):
        yield code, words, _changed(samples, change(x))
    if calibration is not None and len(calibration) > 1 and x.std() and calibration.inputs[0].std():
        theirs = np.asarray(calibration.inputs[0], dtype=np.float32)
        mapped = (x - x.mean()) * (theirs.std() / x.std()) + theirs.mean()
        words = "mapped to mean and spread of the calibration samples"
        yield "preprocessing", words, _changed(samples, mapped)


def _changed(samples: Samples, x: Array) -> Samples:
    return Samples(np.ascontiguousarray(x, dtype=np.float32), samples.y, samples.ids)

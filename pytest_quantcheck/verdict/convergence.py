"""How many calibration samples are enough: scales and score by size, and which size is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SETTLED = 0.05  # from there on no scale changes by more than this share


@dataclass(frozen=True)
class ConvergenceRow:
    """One size of the calibration against all samples.

    ``worst`` and ``typical`` are the largest and the median relative deviation of the activations' scales,
    ``tensor`` is the worst one's name. ``score`` is a fraction, None where nothing could be scored.
    """

    samples: int
    worst: float
    typical: float
    tensor: str
    score: float | None


def settled_from(rows: Sequence[ConvergenceRow]) -> int:
    """The smallest number of samples from which on all scales stay within ``SETTLED`` of the last ones."""
    enough = rows[-1].samples
    for row in reversed(rows):
        if row.worst > SETTLED:
            break
        enough = row.samples
    return enough

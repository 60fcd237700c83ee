"""The exact paired test against a margin: is the true drop of right answers above it?

Of N samples ``lost`` were right only with the first model and ``gained`` only with the second; both are drawn
with unknown probabilities p and q, whose difference is the true drop.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Union

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.numerics.arrays import IntArray

Floats = npt.NDArray[np.float64]
Ints = IntArray

UNSEEN = 1e-4
"""How surely the share of flips lies in the range that is searched; its part of every p-value."""

_TRIED = {False: 48, True: 12}  # shares of flips, by whether there are MANY: the range is narrow then
_MANY = 50
_FAR = 6.0, 12  # standard deviations and counts: what lies further off has less than 1e-8


def score_statistic(
    samples: int, lost: Union[int, Ints], gained: Union[int, Ints], drop: float
) -> Floats:  # one value or an array, as ``lost`` and ``gained`` are
    """Tango's statistic: how many standard errors ``(lost - gained) / samples`` lies above a true ``drop``.

    The standard error is that of the most likely p and q whose difference is ``drop``. Source: Tango,
    Statistics in Medicine 17 (1998) 891.
    """
    b, c = np.asarray(lost, dtype=np.float64), np.asarray(gained, dtype=np.float64)
    distance = b - c - samples * drop
    linear = -b - c + (2 * samples - b + c) * drop
    root = np.sqrt(np.maximum(0.0, linear * linear + 8 * samples * c * drop * (1 - drop)))
    only_second = (root - linear) / (4 * samples)
    variance = samples * (2 * only_second + drop * (1 - drop))
    sure = np.where(distance == 0, 0.0, np.copysign(np.inf, distance))
    known = variance > 0
    return np.where(known, distance / np.sqrt(np.where(known, variance, 1.0)), sure)


@lru_cache(maxsize=256)
def p_value(samples: int, lost: int, gained: int, margin: float) -> float:
    """The largest probability of a statistic as large as this where the true drop is ``margin`` or less.

    An exact unconditional test: all outcomes are ordered by ``score_statistic`` and their probabilities added
    up; the largest sum is taken over the shares of flips p + q that the number of flips leaves possible but
    for ``UNSEEN``, which is added. So a p-value of 0.01 or less comes in at most 1 % of all cases in which
    the drop is within the margin, whatever the share of flips. Sources: Hsueh, Liu and Chen, Biometrics 57
    (2001) 478 (the exact test, paired); Berger and Boos, JASA 89 (1994) 1012 (the range).
    """
    if abs(margin) > 1:  # no drop is outside of -1 to 1
        return 1.0 if margin > 1 else UNSEEN
    observed = float(score_statistic(samples, lost, gained, margin)) - 1e-9
    low, high = (max(each, abs(margin)) for each in _possible_shares(samples, lost + gained))
    shares = np.linspace(low, high, _TRIED[lost + gained > _MANY])
    most_gained = int(_likely(samples, (high - margin) / 2)[-1])
    first = _first_lost(samples, np.arange(most_gained + 1), margin, observed)
    largest = max(_probability(samples, (each + margin) / 2, (each - margin) / 2, first) for each in shares)
    return min(1.0, largest + UNSEEN)


def _probability(samples: int, p: float, q: float, first: Ints) -> float:
    """That with c gained samples ``first[c]`` or more are lost; one is lost with p and gained with q."""
    gained = _likely(samples, q)
    lost = _likely(samples, p)
    first = first[gained][:, np.newaxis]
    lost = lost[lost >= first.min()]
    logs = _log_factorials(samples)
    column = logs[samples] - logs[gained] + _times_log(gained, q)
    row = _times_log(lost, p) - logs[lost]
    rest = samples - lost - gained[:, np.newaxis]
    of_rest = _times_log(np.arange(samples + 1), max(0.0, 1 - p - q)) - logs
    terms = of_rest[np.maximum(rest, 0)] + row + column[:, np.newaxis]
    terms[(lost < first) | (rest < 0)] = -np.inf
    return float(np.exp(terms).sum())


def _first_lost(samples: int, gained: Ints, margin: float, observed: float) -> Ints:
    """For each number gained, the fewest lost whose statistic is ``observed`` or more: it grows with them."""
    low, high = np.zeros_like(gained), samples - gained + 1  # the answer may be: none
    while (low < high).any():
        middle = (low + high) // 2
        enough = score_statistic(samples, middle, gained, margin) >= observed
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
        low = np.minimum(low, high)
    return np.asarray(low)


def _likely(samples: int, probability: float) -> Ints:
    """The counts of a binomial variable but for those with less than 1e-8 in all."""
    expected = samples * probability
    far = _FAR[0] * np.sqrt(expected * (1 - probability)) + _FAR[1]
    return np.arange(max(0, int(expected - far)), min(samples, int(expected + far)) + 1)


@lru_cache(maxsize=4096)
def _possible_shares(samples: int, flips: int) -> tuple[float, float]:
    """The two-sided interval of Clopper and Pearson (Biometrika 26 (1934) 404) for the share of flips."""
    half = UNSEEN / 2
    low = 0.0 if flips == 0 else _share(samples, flips, half, at_least=True)
    high = 1.0 if flips == samples else _share(samples, flips, half, at_least=False)
    return low, high


def _share(samples: int, flips: int, level: float, *, at_least: bool) -> float:
    """The share for which ``flips`` or more (or: or fewer) have the probability ``level``."""
    low, high = (0.0, flips / samples) if at_least else (flips / samples, 1.0)
    logs = _log_factorials(samples)
    for _ in range(30):
        middle = (low + high) / 2
        which = _likely(samples, middle)
        which = which[which >= flips] if at_least else which[which <= flips]
        terms = logs[samples] - logs[which] - logs[samples - which]
        terms = terms + _times_log(which, middle) + _times_log(samples - which, 1 - middle)
        if (float(np.exp(terms).sum()) < level) == at_least:
            low = middle
        else:
            high = middle
    return low if at_least else high


def _times_log(counts: Ints, probability: float) -> Floats:
    """counts * log(probability), where nothing of what cannot be counts 0."""
    if probability > 0:
        return np.asarray(counts * np.log(probability), dtype=np.float64)
    return np.where(counts == 0, 0.0, -np.inf)


@lru_cache(maxsize=8)
def _log_factorials(largest: int) -> Floats:
    """log 0!, log 1!, ..., log largest!"""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, largest + 1)))])

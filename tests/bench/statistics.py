"""What the two rules for ``max_drop`` do with models whose true drop is known, by the share of flips.

``python -m tests.bench.statistics`` prints the table that docs/metrics.md shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.verdict.criteria import Limits, judge_score
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.metrics.paired import Paired
from pytest_quantcheck.verdict.metrics.registry import METRICS
from pytest_quantcheck.verdict.score import Score

PASS, FEW, FAIL = range(3)
SAMPLES, MARGIN, BEYOND = 2000, 0.01, 0.02
SHARES = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.10, 0.12)

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rates:
    """How many of the simulated verdicts were which."""

    passed: float
    few: float
    failed: float

    def __str__(self) -> str:
        return f"{self.passed:7.2%} {self.few:7.2%} {self.failed:7.2%}"


def judge(limits: Limits, samples: int, lost: int, gained: int) -> Criterion:
    """What the real rule says of so many flips."""
    both = samples - lost - gained
    score = Score(
        METRICS["accuracy"],
        samples,
        value=(both + gained) / samples,
        float_value=(both + lost) / samples,
        paired=Paired(samples, lost, gained),
    )
    (criterion,) = judge_score(score, limits)
    return criterion


def verdict(limits: Limits, samples: int, lost: int, gained: int) -> int:
    """The same in one word."""
    criterion = judge(limits, samples, lost, gained)
    if criterion.passed:
        return PASS
    return FEW if criterion.text.startswith("too few vectors") else FAIL


def simulate(
    share: float,
    drop: float,
    limits: Limits,
    *,
    samples: int = SAMPLES,
    draws: int = 10_000,
    seed: int = 0,
) -> Rates:
    """``draws`` verdicts on models that flip a ``share`` of all samples and truly lose ``drop``."""
    p, q = (share + drop) / 2, (share - drop) / 2
    lost, gained, _ = np.random.default_rng(seed).multinomial(samples, [p, q, 1 - share], size=draws).T
    found = np.empty(draws, dtype=np.int64)
    for each in np.unique(gained):
        here = gained == each
        found[here] = _verdicts(
            lost[here], lambda count, each=each: verdict(limits, samples, int(count), int(each))
        )
    return Rates(*(float((found == word).mean()) for word in (PASS, FEW, FAIL)))


def _verdicts(lost: Ints, of: Callable[[int], int]) -> Ints:
    """The verdict of each count of lost samples: more of them never make a verdict better, so that a few
    verdicts tell all.
    """
    counts = np.unique(lost)
    known: dict[int, int] = {}

    def at(place: int) -> int:
        if place not in known:
            known[place] = of(counts[place])
        return known[place]

    def first(word: int) -> int:
        low, high = 0, len(counts)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if at(middle) >= word else (middle + 1, high)
        return low

    places = np.searchsorted(counts, lost)
    return (places >= first(FEW)).astype(np.int64) + (places >= first(FAIL))


def main() -> None:
    plain, sure = Limits(max_drop=MARGIN), Limits(max_drop=MARGIN, confidence=0.95)
    print(f"{SAMPLES} samples, max_drop={MARGIN}: 10,000 verdicts each; pass, too few vectors, fail")
    print("flips  true drop  default rule               confidence=0.95")
    for drop in (MARGIN, MARGIN + BEYOND):
        for share in SHARES:
            if share > drop:
                rates = [simulate(share, drop, limits) for limits in (plain, sure)]
                print(f"{share:5.0%}  {drop:9.0%}  {rates[0]}    {rates[1]}", flush=True)


if __name__ == "__main__":
    main()

"""What the two rules for ``max_drop`` do with models whose true drop is known, by the share of flips.

``python -m tests.bench.statistics [FIGURE.svg]`` prints the table of docs/metrics.md, and draws its curves.
The probabilities of the verdicts are added up over all outcomes, so they carry no noise; 10,000 simulated
verdicts beside them say that the sums are right.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from pytest_quantcheck.verdict.criteria import Limits, judge_score
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.metrics.paired import Paired
from pytest_quantcheck.verdict.metrics.registry import METRICS
from pytest_quantcheck.verdict.score import Score

PASS, FEW, FAIL = range(3)
SAMPLES, MARGIN, BEYOND, DRAWS = 2000, 0.01, 0.02, 10_000
SHARES = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.10, 0.12)
LINES = (
    ("failed", "fail", "#a9231c"),
    ("few", "too few vectors", "#855000"),
    ("passed", "pass", "#15703b"),
)
UNSEEN = 1e-9  # what is left out of a sum at either end

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rates:
    """How likely each verdict is."""

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


@cache
def verdict(limits: Limits, samples: int, lost: int, gained: int) -> int:
    """The same in one word."""
    criterion = judge(limits, samples, lost, gained)
    if criterion.passed:
        return PASS
    return FEW if criterion.text.startswith("too few vectors") else FAIL


def rates(share: float, drop: float, limits: Limits, *, samples: int = SAMPLES) -> Rates:
    """The probability of each verdict on a model that flips a ``share`` of all samples and truly loses
    ``drop``: the sum over the number gained, each with all numbers lost from which the verdict is worse on.
    """
    p, q = (share + drop) / 2, (share - drop) / 2
    passed = failed = 0.0
    low, high = (int(each) for each in binom.ppf([UNSEEN, 1 - UNSEEN], samples, q))
    from_few = from_fail = int(samples * p)
    for gained in range(low, high + 1):
        from_few = _first(FEW, limits, samples, gained, from_few)
        from_fail = _first(FAIL, limits, samples, gained, from_fail)
        lost = binom(samples - gained, p / (1 - q))
        passed += binom.pmf(gained, samples, q) * lost.cdf(from_few - 1)
        failed += binom.pmf(gained, samples, q) * lost.sf(from_fail - 1)
    return Rates(float(passed), float(1 - passed - failed), float(failed))


def _first(word: int, limits: Limits, samples: int, gained: int, guess: int) -> int:
    """The fewest lost with which the verdict is ``word`` or worse, searched from ``guess``: one more lost
    sample never makes it better.
    """

    def reached(lost: int) -> bool:
        return verdict(limits, samples, lost, gained) >= word

    low = high = min(guess, samples - gained)
    while low > 0 and reached(low):
        low = max(0, low - 4)
    while high < samples - gained and not reached(high):
        high = min(samples - gained, high + 4)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle + 1, high)
    return low


def simulate(
    share: float, drop: float, limits: Limits, *, samples: int = SAMPLES, draws: int = DRAWS, seed: int = 0
) -> Rates:
    """``draws`` verdicts on such models."""
    p, q = (share + drop) / 2, (share - drop) / 2
    lost, gained, _ = np.random.default_rng(seed).multinomial(samples, [p, q, 1 - share], size=draws).T
    words = np.full(draws, PASS)
    for each in np.unique(gained):
        for word in (FEW, FAIL):
            first = _first(word, limits, samples, int(each), int(samples * p))
            words[(gained == each) & (lost >= first)] = word
    return Rates(*(float((words == word).mean()) for word in (PASS, FEW, FAIL)))


PLAIN, SURE = Limits(max_drop=MARGIN), Limits(max_drop=MARGIN, confidence=0.95)


def figure(curves: dict[float, list[tuple[float, Rates]]], path: Path) -> None:
    """How often each verdict comes with ``confidence=0.95``, by the share of flips: a panel per true drop."""
    import matplotlib
    from matplotlib.figure import Figure

    made = Figure(figsize=(9, 3.6), layout="constrained")
    limits = {MARGIN: (0.01, "1 %"), MARGIN + BEYOND: (0.95, "95 %")}
    for place, (drop, found) in enumerate(curves.items(), 1):
        axes = made.add_subplot(1, len(curves), place)
        shares = [100 * share for share, _ in found]
        for name, label, colour in LINES:
            values = [100 * getattr(each, name) for _, each in found]
            axes.plot(shares, values, ".-", color=colour, label=label)
        limit, text = limits[drop]
        axes.axhline(100 * limit, color="#5c6067", linewidth=1, linestyle="--")
        axes.annotate(text, (12.2, 100 * limit), color="#5c6067", va="center", annotation_clip=False)
        axes.set_xlim(0, 12)
        axes.set_title(f"true drop {drop:.0%}, limit {MARGIN:.0%}", fontsize=10)
        axes.set_xlabel(f"flips, % of {SAMPLES} samples")
        axes.set_ylabel("verdicts, %")
        if drop == MARGIN:
            axes.set_yscale("log")
            axes.set_yticks([0.5, 1, 5, 20, 100], ["0.5", "1", "5", "20", "100"])
            axes.minorticks_off()
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(0, 0.68))
    with matplotlib.rc_context({"svg.hashsalt": "quantcheck"}):
        made.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def main(arguments: list[str]) -> None:
    print(f"{SAMPLES} samples, max_drop={MARGIN}; pass, too few vectors, fail")
    print("flips  true drop  default rule               confidence=0.95            10,000 simulated")
    curves: dict[float, list[tuple[float, Rates]]] = {}
    for drop in (MARGIN, MARGIN + BEYOND):
        for share in SHARES:
            if share > drop:
                plain, sure = (rates(share, drop, limits) for limits in (PLAIN, SURE))
                curves.setdefault(drop, []).append((share, sure))
                drawn = simulate(share, drop, SURE)
                print(f"{share:5.0%}  {drop:9.0%}  {plain}    {sure}    {drawn}", flush=True)
    if arguments:
        figure(curves, Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])

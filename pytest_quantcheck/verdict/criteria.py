"""What may be asked of a run (``Limits``), and how a score answers it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, isfinite, nan
from numbers import Real

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.metrics.bootstrap import FEWEST, Drops
from pytest_quantcheck.verdict.metrics.metric import Metric
from pytest_quantcheck.verdict.metrics.paired import Paired
from pytest_quantcheck.verdict.score import Score
from pytest_quantcheck.wording import counted

SURE_TO_FAIL = 0.99
"""How sure a *fail* is at least: it accuses, while *too few vectors* only asks for more."""

_SLACK = 1e-12  # fractions of N samples are compared with a tiny tolerance, so that 0.01 allows 1 of 100


@dataclass(frozen=True)
class Limits:
    """What ``gate.check`` was asked to judge, checked when it is made; None where it was not asked.

    ``exact``: every raw output is the reference's. ``max_lsb``: largest difference to it in raw steps.
    ``max_differing``: largest fraction of samples whose raw outputs differ from it at all. ``max_drop``:
    largest loss of score against the float model. ``min_score``: smallest score. ``confidence``: how sure
    ``max_drop`` must be. Raises ``UsageError``.
    """

    exact: bool | None = None
    max_lsb: int | None = None
    max_differing: float | None = None
    max_drop: float | None = None
    min_score: float | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        if self.exact is not None and not isinstance(self.exact, bool):
            raise UsageError(f"exact={self.exact!r} is not known; allowed: True, False, None")
        steps = self.max_lsb
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 0):
            raise UsageError(f"max_lsb={steps!r} is out of range; allowed: a whole number from 0")
        for key in ("max_differing", "max_drop", "min_score", "confidence"):
            object.__setattr__(self, key, _number(key, getattr(self, key)))
        if self.max_differing is not None and not 0 <= self.max_differing < 1:
            raise UsageError(
                f"max_differing={self.max_differing:g} is out of range; allowed: 0 to below 1, such as 0.05"
            )
        if self.confidence is not None and not 0.5 <= self.confidence < 1:
            raise UsageError(
                f"confidence={self.confidence:g} is out of range; allowed: 0.5 up to below 1, such as 0.95"
            )
        if self.confidence is not None and self.max_drop is None:
            raise UsageError("confidence= says how sure max_drop= must be; give both")

    @property
    def of_reference(self) -> tuple[str, ...]:
        """The names of what was asked for and needs a reference."""
        asked = {
            "exact": bool(self.exact),
            "max_lsb": self.max_lsb is not None,
            "max_differing": self.max_differing is not None,
        }
        return tuple(name for name, given in asked.items() if given)

    @property
    def of_score(self) -> bool:
        """Whether anything was asked for that needs a score."""
        return self.max_drop is not None or self.min_score is not None


def judge_score(score: Score, limits: Limits) -> Iterator[Criterion]:
    """``min_score`` and ``max_drop``, as far as they were asked for. Raises ``UsageError``."""
    _check_range(limits, score.metric)
    where = f" of {score.output}" if score.output else ""
    if limits.min_score is not None:
        better = score.metric.higher_is_better
        good = score.value >= limits.min_score if better else score.value <= limits.min_score
        limit = "at least" if better else "at most"
        text = f"{score.metric.name} {score.show(score.value)}, {limit} {score.show(limits.min_score)} wanted"
        yield Criterion(f"min_score{where}", good, text)
    if limits.max_drop is None:
        return
    if score.drop is None:
        raise UsageError("max_drop= compares with the float model, but there is none")
    if limits.confidence is not None:
        yield _judge_confidently(f"max_drop{where}", score, limits.max_drop, limits.confidence)
        return
    good = score.drop <= limits.max_drop + _SLACK
    text = f"{score.metric.name} dropped by {score.show(score.drop)}, limit {score.show(limits.max_drop)}"
    yield Criterion(f"max_drop{where}", good, text)


def _judge_confidently(name: str, score: Score, max_drop: float, confidence: float) -> Criterion:
    """*pass* where a drop of ``max_drop`` or more is refuted at ``confidence``; *fail* where one of
    ``max_drop`` or less is, at ``confidence`` and at 99 % at least; else there are too few vectors to tell.
    """
    lost = _evidence(score)
    if isinstance(lost, Drops) and not lost.enough:
        few = f"too few vectors ({score.samples}): {counted(lost.observations, 'observation')}"
        return Criterion(
            name, False, f"{few} to draw from, and {FEWEST} are wanted, with a score in each draw"
        )
    sure = max(confidence, SURE_TO_FAIL)
    found = (
        f"the drop lies in {score.show(lost.lowest(sure))} to {score.show(lost.highest(confidence))} "
        f"({100 * confidence:.4g} % sure that it is no more, {100 * sure:.4g} % that it is no less), "
        f"limit {score.show(max_drop)}"
    )
    assert score.drop is not None, "there is a float model"
    if score.drop <= max_drop + _SLACK:
        p = lost.p_below(max_drop)
        good, told = True, p <= 1 - confidence
        found += f"; p = {p:.2g} for a true drop of the limit or more"
    else:
        p = lost.p_above(max_drop)
        good, told = False, p <= 1 - sure
        found += f"; p = {p:.2g} for a true drop of the limit or less"
    if told:
        return Criterion(name, good, found)
    few = f"too few vectors ({score.samples}): {found}; give more vectors or a larger limit"
    return Criterion(name, False, few)


def _evidence(score: Score) -> Paired | Drops:
    """The exact test where observations are right or wrong, else the bootstrap."""
    if score.paired is not None:
        return score.paired
    assert score.drops is not None, "there is a float model"
    return score.drops()


def _number(key: str, value: float | None) -> float | None:
    """A limit as a plain number. ``True`` is refused: Python counts it as 1."""
    if value is None:
        return None
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else nan
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise UsageError(f"{key}={value!r} is out of range; allowed: a finite number, such as 0.01")
    return number


def _check_range(limits: Limits, metric: Metric) -> None:
    """A limit of 5 would let everything pass where 5 % is meant; so would one that every fraction keeps."""
    if not metric.fraction:
        return
    drop, score = limits.max_drop, limits.min_score
    if drop is not None and not 0 <= drop < 1:
        raise UsageError(
            f"max_drop={drop:g} is out of range for {metric.name}; allowed: 0 to below 1, such as 0.05"
        )
    good = score is None or (0 < score <= 1 if metric.higher_is_better else 0 <= score < 1)
    if score is not None and not good:
        allowed = "above 0 to 1, such as 0.95" if metric.higher_is_better else "0 to below 1, such as 0.05"
        raise UsageError(f"min_score={score:g} is out of range for {metric.name}; allowed: {allowed}")

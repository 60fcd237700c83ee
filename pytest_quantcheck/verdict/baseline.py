"""A check beside its baseline: what of a run and its scores can be stored, and what each change means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Union

from pytest_quantcheck.baselines.book import Book
from pytest_quantcheck.baselines.change import Change
from pytest_quantcheck.baselines.measured import COUNTED, Measured
from pytest_quantcheck.baselines.tolerance import ALLOWED, Tolerance, ToleranceLike
from pytest_quantcheck.baselines.value import Value
from pytest_quantcheck.baselines.vector_set import fingerprints, in_order
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.runners.device import HOST_TARGET
from pytest_quantcheck.runners.run import Run
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.metrics.registry import METRICS
from pytest_quantcheck.verdict.score import Score

BaselineLike = Union[bool, Mapping[str, ToleranceLike], None]
QUANTITIES = (*COUNTED, "arena", "image", "stack")


def judge_baseline(
    book: Book,
    run: Run,
    scores: Sequence[Score],
    asked: BaselineLike,
    *,
    name: str,
    test_size: int,
    before: Mapping[str, Value] | None = None,
) -> tuple[tuple[Change, ...], list[Criterion]]:
    """Every stored or measured metric of a check, as changes and as criteria.

    ``asked`` is what ``gate.check(baseline=)`` was given, ``name`` what the check calls itself, ``test_size``
    how many samples the test set has; ``before`` are values that take the place of stored ones. Raises
    ``UsageError``.
    """
    tolerances = _tolerances(asked)
    values = measured(run, scores, test_size)
    unmeasured = [metric for metric in tolerances if metric not in values]
    for metric in unmeasured:
        if metric not in QUANTITIES and metric not in METRICS:
            known = ", ".join(dict.fromkeys((*values, *QUANTITIES)))
            raise UsageError(
                f"baseline={{{metric!r}: ...}}: there is no such metric; this check has: {known}"
            )
    if not book.case:
        book.case = run.model.id
    changes = tuple(book.judge(place(run), name, values, tolerances, before))
    criteria = [Criterion(f"baseline {each.metric}", book.policy.passed(each), each.text) for each in changes]
    said = {each.metric for each in changes}
    criteria += [
        Criterion(f"baseline {metric}", None, _not_measured(run, metric))
        for metric in unmeasured
        if metric not in said and tolerances[metric] is not None
    ]
    return changes, criteria


def place(run: Run) -> str:
    """``host``, or ``target@runtime@unit``: what kind of device, whichever one of its kind it was."""
    if run.target == HOST_TARGET:
        return HOST_TARGET
    return f"{run.target}@{run.runtime.partition(' ')[0]}@{run.unit}"


def measured(run: Run, scores: Sequence[Score], test_size: int = 0) -> dict[str, Measured]:
    """Every score, the median of the counter, and the sizes that are known, by metric."""
    values = {score.name: _score(run, score, test_size) for score in scores}
    if len(values) < len(scores) or set(values) & set(QUANTITIES):
        names = ", ".join(score.name for score in scores)
        raise UsageError(f"baselines need a name of its own for each metric; the scores are called {names}")
    if run.counters:
        values[run.unit] = _counter(run)
    for name in ("arena", "image", "stack"):
        size = getattr(run.footprint, name)
        if size is not None:
            values[name] = Measured(Value(size, run.model.sha256), "bytes")
    return values


def _not_measured(run: Run, metric: str) -> str:
    if metric in COUNTED and run.unit:
        return f"{run.target} counts {run.unit}"
    return f"{run.runner} does not report {metric}"


def _score(run: Run, score: Score, test_size: int) -> Measured:
    right, over = None, None
    if score.of is not None:
        over, order = fingerprints(score.of)
        right = None if score.right is None else in_order([bool(each) for each in score.right], order)
    return Measured(
        Value(score.value, run.model.sha256, vectors=over, right=right),
        "score",
        higher_is_better=score.metric.higher_is_better,
        fraction=score.metric.fraction,
        part=score.vectors < test_size,
    )


def _counter(run: Run) -> Measured:
    over, order = fingerprints(run.vectors) if run.unit == "instructions" else (None, ())
    value = Value(
        float(median(run.counters)),
        run.model.sha256,
        firmware=run.device.build_id,
        runtime=run.runtime,
        clock_hz=run.clock_hz,
        vectors=over,
        counts=in_order(run.counters, order) if over is not None else None,
    )
    return Measured(value, run.unit)


def _tolerances(asked: BaselineLike) -> dict[str, Tolerance | None]:
    """The tolerances of ``gate.check(baseline=)``, checked; None leaves a metric out."""
    if asked is True:
        return {}
    if not isinstance(asked, Mapping) or not all(isinstance(metric, str) for metric in asked):
        raise UsageError(
            f"baseline={asked!r} is not known; allowed: True, or a tolerance for each metric, such as "
            "{'accuracy': 0.005, 'instructions': '2%', 'stack': None}; a tolerance is " + ALLOWED
        )
    return {
        metric: None if given is None else Tolerance.parse(given, metric) for metric, given in asked.items()
    }

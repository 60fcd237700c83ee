"""The columns of a results table: how each value of a ``Row`` is written for people."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_quantcheck.baselines.change import worst
from pytest_quantcheck.verdict.row import Row, ScoreRow
from pytest_quantcheck.wording import counted

WORDS = {
    "pass": "ok",
    "regression": "FAILED",
    "rig_fault": "rig fault",
    "error": "error",
    "expected": "xfail",
    "unjudged": "not judged",
}
CHANGED = {
    "regression": "worse",
    "stale": "stale",
    "new": "new",
    "unknown": "not compared",
    "improvement": "better",
    "same": "same",
}
"""The states of changes since values were stored, as tables say them."""
HEADINGS = (
    "case",
    "on",
    "score",
    "to float",
    "exact",
    "cost",
    "arena",
    "image",
    "baseline",
    "verdict",
)


def lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The headings, and one line of cells per row. Where all scores are of one metric it is their heading,
    else each score names its own.
    """
    metrics = {row.score.metric for row in rows if row.score is not None}
    common = metrics.pop() if len(metrics) == 1 else ""
    heads = tuple(common if heading == "score" and common else heading for heading in HEADINGS)
    return [heads, *(cells(row, named=not common) for row in rows)]


def cells(row: Row, *, named: bool = True) -> tuple[str, ...]:
    """One text per heading; ``-`` where a value is not known. ``named``: the score says of which metric."""
    return (
        f"{row.case} ({row.name})" if row.name else row.case or row.test,
        place(row),
        f"{score(row)} {row.score.metric}" if named and row.score is not None else score(row),
        difference(row),
        {True: "yes", False: "NO", None: "-"}[row.exact],
        cost(row),
        size(row.arena),
        size(row.image),
        baseline(row),
        verdict(row),
    )


def place(row: Row) -> str:
    """The board's target, or the runner on the host."""
    return row.runner or "-" if row.target == "host" else row.target


def score(row: Row) -> str:
    """The first score, a fraction as a percentage."""
    found = row.score
    return "-" if found is None else number(found, found.value)


def number(score: ScoreRow, value: float) -> str:
    """A value of a score as people write it."""
    return f"{value:.2%}" if score.percent else f"{value:.4g}"


def difference(row: Row) -> str:
    """To the float model, with a sign: minus is worse."""
    found = row.score
    if found is None or found.drop is None:
        return "-"
    change = 0.0 - found.drop
    return f"{change * 100:+.2f} pp" if found.percent else f"{change:+.3g}"


def cost(row: Row) -> str:
    """Milliseconds where the board has a clock, else what it counts."""
    if row.latency_ms is not None:
        return f"{row.latency_ms:.3f} ms"
    return f"{row.counter:,.0f} {row.unit}".rstrip() if row.counter is not None else "-"


def size(count: int | None) -> str:
    return "-" if count is None else f"{count / 1024:.1f} KiB"


def baseline(row: Row) -> str:
    """What matters most of the changes since values were stored, and of which metrics."""
    found = worst(row.changes)
    if found is None:
        return "-"
    if all(each.written for each in row.changes):
        return "stored"
    metrics = [each.metric for each in row.changes if each.state == found.state]
    named = "" if len(metrics) == len(row.changes) > 1 or found.state == "same" else f" {', '.join(metrics)}"
    return f"{CHANGED[found.state]}{named}"


def verdict(row: Row) -> str:
    """The outcome, the names of failed criteria, how many were not judged, and how often it was retried."""
    word = WORDS[row.outcome]
    failed = [each.name for each in row.criteria if each.passed is False]
    if row.fault:
        word += f": {row.fault}"
    elif failed:
        word += " " + ", ".join(failed)
    elif row.reason:
        word += f": {row.reason.partition(':')[0]}"
    if row.not_judged and row.outcome != "unjudged":
        word += f" ({len(row.not_judged)} not judged)"
    if row.reruns:
        word += f" (after {counted(row.reruns, 'rerun')})"
    if row.retries:
        word += f" (after {counted(row.retries, 'retry')})"
    return word

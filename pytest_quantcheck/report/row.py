"""``Row``: one line of every report, as plain values, and how each of them is written.

Rows are dicts because they travel between xdist processes; this file names their keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

from pytest_quantcheck.wording import counted


class Row(TypedDict, total=False):
    """One verdict, or one test that could have none.

    ``outcome``: ``pass``, ``regression``, ``rig_fault``, ``error``, ``expected`` (a failure that xfail
    announced) or ``unjudged``. ``None`` and missing keys mean *not known*. ``arena`` and ``image`` are bytes.
    ``samples`` were run, ``score`` is over ``score_samples``: more where the outputs equal the reference's.
    ``faults`` are the rig's that ``retries`` overcame, ``fault`` the kind of the one that none did.
    ``warnings`` are the audit's of the artefact, each ``code: text``.
    """

    test: str
    case: str
    runner: str
    runtime: str
    target: str
    samples: int
    metric: str | None
    percent: bool
    score: float | None
    score_samples: int | None
    float_score: float | None
    drop: float | None
    exact: bool | None
    counter: float | None
    counter_spread: int | None
    unit: str
    latency_ms: float | None
    arena: int | None
    image: int | None
    outcome: str
    failed: list[str]
    not_judged: list[str]
    fault: str
    retries: int | None
    faults: list[str]
    erased_sectors: int | None
    warnings: list[str]
    log: str


WORDS = {
    "pass": "ok",
    "regression": "FAILED",
    "rig_fault": "rig fault",
    "error": "error",
    "expected": "xfail",
    "unjudged": "not judged",
}
HEADINGS = (
    "case",
    "on",
    "score",
    "to float",
    "exact",
    "cost",
    "arena",
    "image",
    "verdict",
)


def cells(row: Row) -> tuple[str, ...]:
    """One text per heading; ``-`` where a value is not known."""
    return (
        row.get("case") or row.get("test", ""),
        place(row),
        score(row, row.get("score")),
        difference(row),
        {True: "yes", False: "NO", None: "-"}[row.get("exact")],
        cost(row),
        size(row.get("arena")),
        size(row.get("image")),
        verdict(row),
    )


def place(row: Row) -> str:
    """The board's target, or the runner on the host."""
    target = row.get("target", "host")
    return row.get("runner", "-") if target == "host" else target


def score(row: Row, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2%}" if row.get("percent") else f"{value:.4g}"


def difference(row: Row) -> str:
    """To the float model, with a sign: minus is worse."""
    drop = row.get("drop")
    if drop is None:
        return "-"
    change = 0.0 - drop
    return f"{change * 100:+.2f} pp" if row.get("percent") else f"{change:+.3g}"


def cost(row: Row) -> str:
    """Milliseconds where the board has a clock, else what it counts."""
    latency, counter = row.get("latency_ms"), row.get("counter")
    if latency is not None:
        return f"{latency:.3f} ms"
    return f"{counter:,.0f} {row.get('unit', '')}".rstrip() if counter is not None else "-"


def size(count: int | None) -> str:
    return "-" if count is None else f"{count / 1024:.1f} KiB"


def verdict(row: Row) -> str:
    """The outcome, the names of failed criteria, how many were not judged, and how often it was retried."""
    outcome = row.get("outcome", "unjudged")
    word = WORDS[outcome]
    if row.get("fault"):
        word += f": {row['fault']}"
    elif row.get("failed"):
        word += " " + ", ".join(text.partition(":")[0] for text in row["failed"])
    skipped, retries = row.get("not_judged") or [], row.get("retries")
    if skipped and outcome != "unjudged":
        word += f" ({len(skipped)} not judged)"
    if retries:
        word += f" (after {counted(retries, 'retry')})"
    return word


def count(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows passed, failed and so on; *not judged* counts single criteria, too.

    ``retries`` and ``erased sectors`` are what the boards went through, also for what passed.
    """
    names = {
        "pass": "passed",
        "regression": "failed",
        "rig_fault": "rig faults",
        "error": "errors",
        "expected": "expected failures",
    }
    totals = dict.fromkeys((*names.values(), "not judged", "retries", "erased sectors"), 0)
    for row in rows:
        outcome = row.get("outcome", "unjudged")
        if outcome in names:
            totals[names[outcome]] += 1
        totals["not judged"] += len(row.get("not_judged") or []) or int(outcome == "unjudged")
        totals["retries"] += row.get("retries") or 0
        totals["erased sectors"] += row.get("erased_sectors") or 0
    return totals


def overall(rows: Sequence[Row]) -> str:
    """One word for a pipeline: a regression blocks a release, a rig fault calls for a look at the rig."""
    outcomes = {row.get("outcome", "unjudged") for row in rows}
    for outcome in ("regression", "rig_fault", "error"):
        if outcome in outcomes:
            return outcome
    return "pass" if "pass" in outcomes else "unjudged"


def plain(row: Row) -> dict[str, Any]:
    """The row without what is not known."""
    return {key: value for key, value in row.items() if not _unknown(value)}


def _unknown(value: object) -> bool:
    return value is None or (isinstance(value, (str, list)) and not value)

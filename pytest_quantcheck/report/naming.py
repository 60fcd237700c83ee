"""How reports name things: cases, configurations, and who made which number."""

from __future__ import annotations

import math

from pytest_quantcheck.report.cells import number
from pytest_quantcheck.verdict.row import Row, ScoreRow

ORDER = ("regression", "rig_fault", "error", "unjudged", "expected", "pass")
"""Outcomes, what a reader must see first first."""
MARKS = {
    "pass": "✓",
    "regression": "✗",
    "rig_fault": "⚡",
    "error": "!",
    "expected": "○",
    "unjudged": "?",
}
BAD = ("regression", "rig_fault", "error")


def title(row: Row) -> str:
    return f"{row.case} ({row.name})" if row.name else row.case or row.test or "?"


def configuration(row: Row) -> str:
    """The model and its configuration; where a row has none, its parameters without the board."""
    case = row.case.partition("[")[2].removesuffix("]") or row.case
    return row.model or case.removesuffix(f"-{row.target}") or row.test or "?"


def maker(row: Row) -> str:
    """Who computed the row's outputs and costs: board or runner, and its runtime."""
    who = row.board if row.target != "host" else row.runner
    names = [who or row.runner or row.target, row.target if row.target not in ("host", who) else ""]
    made = ", ".join(name for name in names if name)
    return f"{made} ({row.runtime})" if row.runtime else made


def scored_by(row: Row, score: ScoreRow) -> str:
    """Who computed the outputs that a score is over."""
    return (
        f"{score.inherited}, whose outputs are the same as {maker(row)}'s" if score.inherited else maker(row)
    )


def is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def value(score: ScoreRow, found: float | None) -> str:
    """A value of a score, ``-`` where it is not known or not finite."""
    return number(score, found) if found is not None and math.isfinite(found) else "-"


def cell(value: float | None, percent: bool) -> str:
    """A value of a table: a count as it is, a fraction as a percentage where the table says so."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1%}" if percent else f"{value:.4g}"

"""The reports of several jobs as one: whose results are joined, which contradict, which are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.row import Row

Identity = tuple[str, str, int]
"""A test's node id, the name of its check, and which of several checks of that name it is."""


def identified(rows: Iterable[Row]) -> dict[Identity, Row]:
    """Rows by what they are the verdict of."""
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    for row in rows:
        which = row.test, row.name
        found[(*which, seen[which])] = row
        seen[which] += 1
    return found


def merge(reports: Mapping[str, Sequence[Row]]) -> list[Row]:
    """The rows of all reports, by the report's name; what two reports both have is taken once.

    Raises ``UsageError`` where two reports have other outcomes, or other models, for one check.
    """
    merged: dict[Identity, tuple[str, Row]] = {}
    for name, rows in reports.items():
        for identity, row in identified(rows).items():
            other, first = merged.setdefault(identity, (name, row))
            if row.outcome != first.outcome:
                raise UsageError(
                    f"{other} and {name} contradict each other: {row.test} is {first.outcome} in the one and "
                    f"{row.outcome} in the other. Leave out the report that no longer counts"
                )
            if row.model_sha256 != first.model_sha256:
                raise UsageError(
                    f"{other} and {name} are of different models: {row.test} ran {first.model_sha256[:12]} "
                    f"in the one and {row.model_sha256[:12]} in the other. Give reports of one commit"
                )
    return [row for _, row in merged.values()]


def missing(expected: Iterable[str], rows: Sequence[Row]) -> list[Row]:
    """A row that is an error for each expected node id of which no report has a result."""
    there = {row.test for row in rows}
    return [
        Row(test=test, case=test, outcome="error", reason="no report has a result of it")
        for test in dict.fromkeys(expected)
        if test not in there
    ]

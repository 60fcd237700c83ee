"""The reports of several jobs as one: whose results are joined, which contradict, which are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.report.history import joined
from pytest_quantcheck.report.provenance import Provenance
from pytest_quantcheck.report.report import Report
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


def merge(reports: Mapping[str, Report]) -> Report:
    """All reports as one, by their names; what two of them both have is taken once.

    Raises ``UsageError`` where two are of different commits, or have other outcomes or models for one check.
    """
    merged: dict[Identity, tuple[str, Row]] = {}
    commits: dict[str, str] = {}
    omitted: dict[str, int] = {}
    for name, report in reports.items():
        if report.provenance.revision:
            commits.setdefault(report.provenance.revision, name)
        for identity, row in identified(report.rows).items():
            other, first = merged.setdefault(identity, (name, row))
            _refuse_contradiction((other, first), (name, row))
        for reason, count in report.omitted.items():  # each job omits the same ones
            omitted[reason] = max(count, omitted.get(reason, 0))
    if len(commits) > 1:
        (one, first_name), (other_one, second_name) = list(commits.items())[:2]
        raise UsageError(
            f"{first_name} is of commit {one[:12]}, {second_name} of {other_one[:12]}. Give reports of one"
        )
    collected: dict[str, bool] = {}
    for report in reports.values():
        collected |= {test: ran or collected.get(test, False) for test, ran in report.collected.items()}
    made = next((each.provenance for each in reports.values() if each.provenance.revision), Provenance())
    rows = tuple(row for _, row in merged.values())
    return Report(
        rows,
        replace(made, options={}),
        omitted=omitted,
        collected=collected,
        history=joined(report.history for report in reports.values()),
    )


def _refuse_contradiction(one: tuple[str, Row], other: tuple[str, Row]) -> None:
    (first_name, first), (name, row) = one, other
    if row.outcome != first.outcome:
        raise UsageError(
            f"{first_name} and {name} contradict each other: {row.test} is {first.outcome} in the one and "
            f"{row.outcome} in the other. Leave out the report that no longer counts"
        )
    if row.model_sha256 != first.model_sha256:
        raise UsageError(
            f"{first_name} and {name} are of different models: {row.test} ran {first.model_sha256[:12]} in "
            f"the one and {row.model_sha256[:12]} in the other. Give reports of one commit"
        )
    if first.data_sha256 and row.data_sha256 and row.data_sha256 != first.data_sha256:
        raise UsageError(
            f"{first_name} and {name} are of different data: {row.test} ran {first.data_sha256[:12]} in the "
            f"one and {row.data_sha256[:12]} in the other. Give reports of runs with the same samples"
        )


def missing(expected: Iterable[str], rows: Sequence[Row]) -> list[Row]:
    """A row that is an error for each expected node id of which no report has a result."""
    there = {row.test for row in rows}
    return [
        Row(test=test, case=test, outcome="error", reason="no report has a result of it")
        for test in dict.fromkeys(expected)
        if test not in there
    ]

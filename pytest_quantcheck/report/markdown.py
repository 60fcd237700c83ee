"""The results as a Markdown table, for pull requests and job summaries."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_quantcheck.report.cells import HEADINGS, cells
from pytest_quantcheck.report.file import write_file
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.report.terminal import findings, last_line


def write(report: Report, target: str) -> None:
    write_file(target, render(report))


def render(report: Report) -> str:
    """A table with one line per row, the counts, and what each failed row found."""
    rows = report.rows
    lines = ["# quantcheck", "", _line(HEADINGS), _line(["---"] * len(HEADINGS))]
    lines += [_line(cells(row)) for row in rows]
    lines += ["", last_line(rows), ""]
    if found := findings(rows):
        lines += [*(f"- {line}" for line in found), ""]
    for row in rows:
        failed = (*row.failed, *([row.reason] if row.reason else []))
        if failed:
            lines += [f"**{_plain(row.test or row.case)}**", "", "```"]
            lines += [line for text in failed for line in text.splitlines()]
            lines += ["```", ""]
    return "\n".join(lines)


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(text) for text in texts) + " |"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

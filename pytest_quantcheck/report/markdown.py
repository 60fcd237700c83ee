"""The results as a Markdown table, for pull requests and job summaries."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_quantcheck.report.cells import lines as lines_of
from pytest_quantcheck.report.file import write_file
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.report.terminal import findings, last_line
from pytest_quantcheck.verdict.causes.cause import SHOWN
from pytest_quantcheck.wording import counted, visible

_MEANS_SOMETHING = re.compile(r"[\\`*<>\[\]|~#&]")


def write(report: Report, target: str) -> None:
    write_file(target, render(report))


def render(report: Report) -> str:
    """A table with one line per row, the counts, what did not run, what each failed row found, provenance."""
    rows = report.rows
    head, *body = lines_of(rows)
    lines = ["# quantcheck", "", line(head), line(["---"] * len(head)), *map(line, body)]
    lines += ["", last_line(rows), ""]
    left_out = [f"{counted(n, 'hw test')} NOT RUN: {reason}" for reason, n in report.left_out.items()]
    if found := [*left_out, *findings(rows)]:
        lines += [*(f"- {plain(each)}" for each in found), ""]
    for row in rows:
        failed = [*row.failed, *([row.reason] if row.reason else [])]
        if failed:
            failed += [str(cause) for cause in row.causes[:SHOWN]]
            lines += [f"**{plain(row.test or row.case)}**", "", *_quoted("\n".join(failed)), ""]
    return "\n".join([*lines, *_made(report)])


def plain(text: str) -> str:
    """One line of text that Markdown takes for nothing else, in a table too."""
    return _MEANS_SOMETHING.sub(r"\\\g<0>", visible(text).replace("\n", " "))


def line(texts: Sequence[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(plain(text) for text in texts) + " |"


def _quoted(text: str) -> list[str]:
    """A block of text as it is: its fence is longer than any in the text."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return [fence, *visible(text).splitlines(), fence]


def _made(report: Report) -> list[str]:
    made = report.provenance
    words = [made.date, f"pytest-quantcheck {made.quantcheck}", made.python, made.platform]
    words.append(f"git {made.revision}{' with changes' if made.modified else ''}" if made.revision else "")
    return [plain(", ".join(word for word in words if word)), ""] if made.date else []

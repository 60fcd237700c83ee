"""GitHub Actions: an annotation at the test's own line for each failure and error, and the job's summary.

Workflow commands and their escapes: docs.github.com, "Workflow commands for GitHub Actions", and
``packages/core/src/command.ts`` of actions/toolkit. GitHub shows at most 10 errors per step, and drops a
summary of more than 1 MiB altogether.
"""

from __future__ import annotations

import os
from pathlib import Path

from pytest_quantcheck.report import markdown
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.report.terminal import why
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.wording import counted, visible

ERRORS_PER_STEP = 10
SUMMARY_BYTES = 1024 * 1024
_MESSAGE, _TITLE = 3000, 200  # characters
_CUT = "The report is longer than GitHub shows.\n"


def write(report: Report, _target: str) -> list[str]:
    """Append to the job's summary, where there is one; return the annotations for standard output."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        file = Path(path)
        room = SUMMARY_BYTES - (file.stat().st_size if file.is_file() else 0)
        with file.open("a", encoding="utf-8", newline="\n") as summary:
            summary.write(limited(markdown.render(report), room))
    return commands(report)


def commands(report: Report) -> list[str]:
    """``::error file=,line=,title=::message`` for each row that failed, regressions first; and how many
    there are beyond those that GitHub shows.
    """
    order = ("regression", "rig_fault", "error")
    failed = sorted(
        (row for row in report.rows if row.outcome in order), key=lambda row: order.index(row.outcome)
    )
    lines = [_annotation(row, report) for row in failed[:ERRORS_PER_STEP]]
    if rest := len(failed) - len(lines):
        lines.append(
            _command("notice", {"title": "quantcheck"}, f"{counted(rest, 'other failure')}: see the summary")
        )
    return lines


def _annotation(row: Row, report: Report) -> str:
    place = report.places.get(row.test)
    where = {"file": _in_repository(report.root, place.file)} if place is not None else {}
    if place is not None and place.line:
        where["line"] = str(place.line)
    on = f" on {row.board or row.target}" if row.target != "host" else ""
    title = f"{row.outcome.replace('_', ' ')}: {row.case or row.test}{on}"[:_TITLE]
    return _command("error", {**where, "title": title}, "\n".join(why(row))[:_MESSAGE] or row.outcome)


def _in_repository(root: str, file: str) -> str:
    """A file of the folder ``root`` as the repository that was checked out names it."""
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if not workspace:
        return file
    return Path(os.path.relpath(Path(root, file), workspace)).as_posix()


def _command(name: str, properties: dict[str, str], message: str) -> str:
    words = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items())
    return f"::{name} {words}::{_escaped(message)}"


def _escaped(text: str, others: str = "") -> str:
    """Percent, carriage return and newline, and what else a property must not hold."""
    text = visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    for character in others:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def limited(text: str, room: int) -> str:
    """As many whole lines of Markdown as fit into ``room`` bytes; what is cut is said to be."""
    if len(text.encode()) <= room:
        return text
    kept: list[str] = []
    fence, left = "", room - len(f"\n{_CUT}")
    for line in text.splitlines(keepends=True):
        after = _fence(fence, line.rstrip("\n"))
        left -= len(line.encode())
        if left < len(f"{after}\n"):
            break
        kept.append(line)
        fence = after
    closing = [f"{fence}\n"] if fence else []
    return "".join([*kept, *closing, "\n", _CUT]) if kept else ""


def _fence(fence: str, line: str) -> str:
    """What closes the block that is open after ``line``, where ``fence`` was to close the one before it."""
    if fence:
        return "" if line == fence else fence
    return line if line.startswith("```") else ""

"""What becomes of a test: verdicts into reports, rig faults into ERROR, results into the summary.

Rows are plain dicts, so that they survive xdist.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantcheck.errors import QuantcheckError, RigFault
from pytest_quantcheck.files import write_whole
from pytest_quantcheck.plugin.items import CASE, parameter, wanted_board
from pytest_quantcheck.plugin.notes import REPORT_KEY, item_notes, run_notes
from pytest_quantcheck.plugin.settings import settings
from pytest_quantcheck.report import json, markdown
from pytest_quantcheck.report.junit import properties
from pytest_quantcheck.report.row import Row
from pytest_quantcheck.report.terminal import last_line, not_judged, table, warnings
from pytest_quantcheck.wording import counted

_TAIL_LINES = 40


def record(item: pytest.Item, row: Row) -> None:
    """A verdict was reached: keep it for the report, and as JUnit properties."""
    row["test"] = item.nodeid
    item_notes(item).rows.append(row)
    item.user_properties += properties(row)


def before_report(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """A test that ended without a verdict, for a reason of ours, has a row as well."""
    error = call.excinfo.value if call.excinfo is not None else None
    if not isinstance(error, QuantcheckError):
        return
    case = parameter(item, CASE)
    row: Row = {
        "case": case.id if case else item.name,
        "target": wanted_board(item) or "host",
        "outcome": "rig_fault" if isinstance(error, RigFault) else "error",
        "fault": error.kind if isinstance(error, RigFault) else type(error).__name__,
    }
    if isinstance(error, RigFault) and error.log:
        row["log"] = error.log
    record(item, row)


def finish_report(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
) -> pytest.TestReport:
    """Errors of ours end as ERROR with their own words; rows and the serial log travel with the report."""
    notes = item_notes(item)
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, QuantcheckError):
        _as_error(item, report, error)
    if report.when == "call":
        notes.call_passed = report.passed
    if isinstance(error, RigFault) and report.failed and notes.log is not None and notes.log.is_file():
        report.sections.append((f"serial log {notes.log}", _tail(notes.log)))
    if notes.rows:
        if hasattr(report, "wasxfail"):
            _expect(notes.rows)
        setattr(report, REPORT_KEY, notes.rows)
        notes.rows = []
    return report


def _expect(rows: list[Row]) -> None:
    """What xfail announced blocks nothing."""
    for row in rows:
        if row["outcome"] in ("regression", "error"):
            row["outcome"] = "expected"


def _as_error(item: pytest.Item, report: pytest.TestReport, error: QuantcheckError) -> None:
    """Such an error is no verdict: ERROR, also in the call, also where xfail would hide a rig fault.

    pytest and JUnit call an error what fails outside the call, so the report says ``setup``.
    """
    if isinstance(error, RigFault):
        report.outcome = "failed"
        report.__dict__.pop("wasxfail", None)
    if not report.failed:
        return
    if not item.config.option.fulltrace:
        during = " (during the call)" if report.when == "call" else ""
        report.longrepr = f"{type(error).__name__}{during}: {error}"
    if report.when == "call":
        report.when = "setup"


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_TAIL_LINES:])


def check_budget_was_used(item: pytest.Item) -> None:
    """A budget that nothing judged would be a promise nobody keeps."""
    notes = item_notes(item)
    if item.get_closest_marker("budget") and notes.call_passed and not notes.budget_used:
        pytest.fail("the budget marker was not used: no gate.check judged it in this test", pytrace=False)


def summarize(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table, the counts, and one loud line for what was left out, by reason."""
    notes = run_notes(config)
    rows = notes.rows
    terminalreporter.write_sep("=", "quantcheck")
    if rows:
        for line in table(rows):
            terminalreporter.write_line(line)
        for line in (*not_judged(rows), *warnings(rows)):
            terminalreporter.write_line(line, yellow=True)
        terminalreporter.write_line(last_line(rows))
    for reason, count in notes.omitted.items():
        terminalreporter.write_line(f"{counted(count, 'combination')} LEFT OUT: {reason}", yellow=True)
    for reason, count in notes.left_out.items():
        terminalreporter.write_line(f"{counted(count, 'hw test')} NOT RUN: {reason}", yellow=True, bold=True)
    for form, path in settings(config).reports.items():
        terminalreporter.write_line(f"{form} report: {path}")


def write_reports(config: pytest.Config) -> None:
    """``--qc-report``: only the controlling process writes."""
    reports = settings(config).reports
    rows = run_notes(config).rows
    renderers = {"json": json.render, "md": markdown.render}
    for form, path in reports.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, renderers[form](rows).encode())

"""What becomes of an item: its verdicts, our errors, and what pytest says of it in the end, as rows.

A row is finished when its item is torn down: only then is known what pytest says of it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantcheck.errors import QuantcheckError, RigFault
from pytest_quantcheck.plugin import baselines
from pytest_quantcheck.plugin.items import case_of, wanted_board
from pytest_quantcheck.plugin.notes import BASELINES_KEY, BOARD_KEY, REPORT_KEY, item_notes
from pytest_quantcheck.report.junit import properties
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.wording import first_line

_TAIL_LINES = 40
_TAIL_BYTES = 1 << 16  # of a log that may have grown for days
_FAILURES = ("regression", "rig_fault", "error")


def record(item: pytest.Item, row: Row) -> None:
    """A verdict was reached: keep it for the item's end."""
    name = "" if row.name == row.model else row.name  # what check(name=) said
    item_notes(item).rows.append(replace(row, test=item.nodeid, case=case_of(item), name=name))


def finish_report(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
) -> pytest.TestReport:
    """Errors of ours end as ERROR with their own words; rows and the serial log travel with the report."""
    notes = item_notes(item)
    error = call.excinfo.value if call.excinfo is not None else None
    when = report.when or ""
    if isinstance(error, QuantcheckError):
        _record_error(item, error)
        _as_error(item, report, error)
    if when == "call":
        notes.call_passed = report.passed
    outcome = "expected" if hasattr(report, "wasxfail") and report.skipped else report.outcome
    notes.phases[when] = outcome, _reason(error)
    if isinstance(error, RigFault) and report.failed and notes.log is not None:
        report.sections.append((f"serial log {notes.log}", _tail(notes.log)))
    rows: list[Row] = []
    if when == "teardown":
        rows = _final(item)
        passed = all(outcome == "passed" for outcome, _ in notes.phases.values())
        setattr(report, BASELINES_KEY, baselines.of_item(item, passed=passed))
        report.user_properties += [each for row in rows for each in properties(row)]
    setattr(report, REPORT_KEY, rows)
    setattr(report, BOARD_KEY, bool(wanted_board(item)))
    return report


def _record_error(item: pytest.Item, error: QuantcheckError) -> None:
    """A test that ended for a reason of ours has a row that says so: its last one if that judged nothing."""
    notes = item_notes(item)
    outcome = "rig_fault" if isinstance(error, RigFault) else "error"
    fault = error.kind if isinstance(error, RigFault) else type(error).__name__
    if notes.rows and notes.rows[-1].outcome == "unjudged":
        notes.rows[-1] = replace(notes.rows[-1], outcome=outcome, fault=fault, reason=_reason(error))
        return
    log = error.log if isinstance(error, RigFault) else ""
    target = wanted_board(item) or "host"
    record(item, Row(target=target, outcome=outcome, fault=fault, reason=_reason(error), log=log))


def _final(item: pytest.Item) -> list[Row]:
    """The item's rows as pytest's own outcome decides: no row passes whose item did not."""
    notes = item_notes(item)
    rows = list(notes.rows)
    outcomes = {outcome for outcome, _ in notes.phases.values()}
    if "failed" not in outcomes and "expected" in outcomes:
        return [replace(row, outcome="expected") if row.outcome in _FAILURES else row for row in rows]
    if "failed" in outcomes and not any(row.outcome in _FAILURES for row in rows):
        when, reason = next(
            (w, reason) for w, (outcome, reason) in notes.phases.items() if outcome == "failed"
        )
        word = "regression" if when == "call" else "error"
        after = "after its check: " if rows else ""
        last = rows.pop() if rows else _blank(item)
        rows.append(replace(last, outcome=word, reason=f"{when} failed {after}{reason}".rstrip(": ")))
    elif "skipped" in outcomes and "failed" not in outcomes:
        rows = [replace(row, outcome="unjudged", reason="the test was skipped") for row in rows]
    return rows


def _blank(item: pytest.Item) -> Row:
    return Row(test=item.nodeid, case=case_of(item), target=wanted_board(item) or "host")


def _reason(error: BaseException | None) -> str:
    """The first line of what went wrong."""
    if error is None:
        return ""
    if isinstance(error, QuantcheckError):
        return first_line(error)
    return f"{type(error).__name__}: {first_line(str(error))}".rstrip(": ")


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
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = file.read(_TAIL_BYTES).decode("utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"cannot be read: {error}"
    return "\n".join(lines[-_TAIL_LINES:])


def check_what_was_judged(item: pytest.Item) -> None:
    """A test whose call passed must have judged what it seems to judge, and have kept to the answer."""
    notes = item_notes(item)
    if not notes.call_passed:
        return
    if item.get_closest_marker("budget") and not notes.budget_used:
        pytest.fail("the budget marker was not used: no gate.check judged it in this test", pytrace=False)
    if notes.asked is False:
        pytest.fail(
            "this test asked for the fixture gate and passed without a gate.check: call it, skip the test "
            "where there is nothing to check, or leave gate out",
            pytrace=False,
        )
    if notes.refused:
        pytest.fail(
            f"a gate.check of this test failed, and its error did not end the test: {notes.refused[0]}. Let "
            "it through (no except around it, no thread of its own); where failure is wanted, mark the test "
            "xfail(strict=True)",
            pytrace=False,
        )

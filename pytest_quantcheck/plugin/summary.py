"""What stands at the end of a run: the table, the counts, what was left out, and the reports."""

from __future__ import annotations

import pytest

from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.plugin import baselines
from pytest_quantcheck.plugin.notes import run_notes
from pytest_quantcheck.plugin.settings import settings
from pytest_quantcheck.report.forms import FORMS
from pytest_quantcheck.report.history import history
from pytest_quantcheck.report.provenance import gather, without_user
from pytest_quantcheck.report.report import Place, Report
from pytest_quantcheck.report.terminal import boards, explained, findings, last_line, not_judged
from pytest_quantcheck.wording import counted


def summarize(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table, the counts, and one loud line for what was left out, by reason."""
    notes = run_notes(config)
    rows = notes.rows
    terminalreporter.write_sep("=", "quantcheck")
    if rows:
        for line in (*explained(rows), *boards(rows)):
            terminalreporter.write_line(line)
        for line in (*not_judged(rows), *findings(rows)):
            terminalreporter.write_line(line, yellow=True)
        terminalreporter.write_line(last_line(rows))
    if (vectors := settings(config).vectors) is not None and rows:
        terminalreporter.write_line(
            f"--qc-vectors: at most {vectors} vectors of each test set, chosen by id across all classes"
        )
    for reason, count in notes.omitted.items():
        terminalreporter.write_line(f"{counted(count, 'combination')} LEFT OUT: {reason}", yellow=True)
    for reason, count in notes.left_out.items():
        terminalreporter.write_line(f"{counted(count, 'hw test')} NOT RUN: {reason}", yellow=True, bold=True)
    if settings(config).require_hw and notes.hw_skipped:
        line = f"--qc-require-hw: {notes.hw_ran} hw tests ran, {notes.hw_skipped} were skipped"
        terminalreporter.write_line(line, red=not notes.hw_ran, bold=True)
    for line in notes.of_baselines:
        terminalreporter.write_line(line, yellow=True)
    for line in notes.written:
        terminalreporter.write_line(line)
    for line in notes.unwritten:
        terminalreporter.write_line(line, red=True, bold=True)
    if notes.ungated:
        from pytest_quantcheck.workflows.model_zoo.load import grouped

        for line in grouped(notes.ungated):
            terminalreporter.write_line(line, yellow=True)


def write_reports(config: pytest.Config) -> None:
    """``--qc-report``: only the controlling process writes. What cannot be written costs that report only."""
    notes, wanted = run_notes(config), settings(config).reports
    report = _report(config) if wanted else Report()
    for form, target in wanted:
        shown = f"{form} report: {without_user(target)}"
        try:
            lines = FORMS[form].write(report, target)
        except (OSError, QuantcheckError) as error:
            notes.unwritten.append(f"{form} report NOT WRITTEN: {without_user(str(error))}")
        except Exception as error:  # a fault of ours or of a library must not cost the other reports
            what = without_user(f"{type(error).__name__}: {error}")
            notes.unwritten.append(f"{shown} NOT WRITTEN: {what}")
        else:
            notes.written += lines or [shown]


def _report(config: pytest.Config) -> Report:
    notes = run_notes(config)
    options = {
        f"--{name.replace('_', '-')}": value
        for name, value in vars(config.option).items()
        if name.startswith("qc_")
    }
    options |= {"-m": config.option.markexpr, "-k": config.option.keyword, "tests": config.args}
    return Report(
        rows=tuple(notes.rows),
        collected={test: test in notes.places for test in notes.expected},
        root=str(config.rootpath),
        provenance=gather(config.rootpath, options),
        left_out=dict(notes.left_out),
        omitted=dict(notes.omitted),
        history=history(config.rootpath, baselines.measured(config)) if notes.baselines else (),
        places={test: Place(file, line) for test, (file, line) in notes.places.items()},
    )

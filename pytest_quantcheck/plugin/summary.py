"""What stands at the end of a run: the table, the counts, what was left out, and the reports' files."""

from __future__ import annotations

import pytest

from pytest_quantcheck.files import write_whole
from pytest_quantcheck.plugin.notes import run_notes
from pytest_quantcheck.plugin.settings import settings
from pytest_quantcheck.report import json, markdown
from pytest_quantcheck.report.terminal import findings, last_line, not_judged, table
from pytest_quantcheck.wording import counted

_RENDERERS = {"json": json.render, "md": markdown.render}


def summarize(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table, the counts, and one loud line for what was left out, by reason."""
    notes = run_notes(config)
    rows = notes.rows
    terminalreporter.write_sep("=", "quantcheck")
    if rows:
        for line in table(rows):
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
    for form, path in settings(config).reports.items():
        terminalreporter.write_line(f"{form} report: {path}")
    for line in notes.unwritten:
        terminalreporter.write_line(line, red=True, bold=True)


def write_reports(config: pytest.Config) -> None:
    """``--qc-report``: only the controlling process writes. A file that cannot be written costs that file."""
    notes = run_notes(config)
    for form, path in settings(config).reports.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, _RENDERERS[form](notes.rows).encode("utf-8", "replace"))
        except OSError as error:
            notes.unwritten.append(f"{form} report NOT WRITTEN: {error}")

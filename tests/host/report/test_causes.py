"""Why a score is low: each report says the cause, its evidence, and what to do."""

from __future__ import annotations

import json
from dataclasses import replace

from pytest_quantcheck.report.html.page import render as html
from pytest_quantcheck.report.json import render
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.report.terminal import why
from pytest_quantcheck.verdict.causes.cause import UNKNOWN, Cause
from pytest_quantcheck.verdict.row import Row
from tests.host.report.rows import LOW


def test_a_row_with_causes_travels() -> None:
    assert Row.from_dict(json.loads(json.dumps(LOW.to_dict()))) == LOW
    assert json.loads(render(Report((LOW,))))["results"][0]["causes"][0]["code"] == "calibration_range"


def test_the_terminal_says_cause_evidence_and_what_to_do() -> None:
    assert why(LOW)[1:] == [
        "likely cause: calibration saw 0 to 0.2",
        "evidence: 12.0% come back",
        "what to do: Use one function.",
    ]


def test_what_is_unknown_is_said_to_be() -> None:
    unknown = replace(LOW, causes=(Cause(UNKNOWN, "quantizing costs 12.0%", remedy="Look."),))
    assert why(unknown)[1:] == ["cause: unknown; quantizing costs 12.0%", "what to do: Look."]


def test_the_page_says_so_too() -> None:
    page = html(Report((LOW,)))
    assert "Likely cause: calibration saw 0 to 0.2." in page
    assert "12.0% come back. What to do: Use one function." in page

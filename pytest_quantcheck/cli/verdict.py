"""``quantcheck verdict``: a JSON report as an exit code, for pipelines that ran pytest elsewhere."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pytest_quantcheck.report.read import read_report
from pytest_quantcheck.report.terminal import last_line, table
from pytest_quantcheck.verdict.row import Row, overall

EXIT_CODES = {"pass": 0, "regression": 1, "error": 2, "unjudged": 2, "rig_fault": 3}
CODES = (
    "Exit code 0: all passed; 1: a regression; 2: an error, an unreadable report, or one that judged "
    "nothing; 3: a fault of the rig. Of several the first in the order 1, 3, 2."
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck verdict``."""
    parser = subparsers.add_parser(
        "verdict", help="turn a JSON report of pytest into an exit code", description=CODES
    )
    parser.add_argument(
        "report", type=Path, metavar="R.json", help="what pytest --qc-report=json=R.json wrote"
    )
    add_strict(parser)


def add_strict(parser: argparse.ArgumentParser) -> None:
    """What *not judged* means."""
    parser.add_argument("--strict", action="store_true", help="what could not be judged is exit code 1, too")


def run(args: argparse.Namespace) -> int:
    """Print table and outcome; return the exit code."""
    return conclude(read_report(args.report).rows, strict=args.strict)


def conclude(rows: Sequence[Row], *, strict: bool) -> int:
    """Print rows, what failed of them, and the outcome; the exit code it stands for."""
    for line in table(rows) if rows else []:
        print(line)
    for row in rows:
        for text in (*row.failed, *([row.reason] if row.reason else [])):
            print(f"{row.test or row.case}: {text}")
    outcome = overall(rows)
    print(f"{last_line(rows)}\noutcome: {outcome}")
    open_questions = any(row.not_judged or row.outcome == "unjudged" for row in rows) or not rows
    if strict and open_questions and outcome in ("pass", "unjudged"):
        print("--strict: what was not judged has not passed")
        return EXIT_CODES["regression"]
    if outcome == "unjudged":
        print("nothing was judged, so nothing has passed")
    return EXIT_CODES[outcome]

"""``quantcheck merge``: the JSON reports of several jobs, such as a CI matrix, as one verdict."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from pytest_quantcheck.cli.document import made_by
from pytest_quantcheck.cli.files import check_file
from pytest_quantcheck.cli.verdict import CODES, add_strict, conclude
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.report import json
from pytest_quantcheck.report.html import page
from pytest_quantcheck.report.merge import merge, missing
from pytest_quantcheck.report.read import read_report


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck merge``."""
    parser = subparsers.add_parser(
        "merge",
        help="join the JSON reports of several jobs into one verdict",
        description="A result that two reports have is taken once; two that contradict are refused. A test "
        f"that a job collected, but no job ran, is an error. {CODES}",
    )
    parser.add_argument("reports", type=Path, nargs="+", metavar="R.json")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.json", help="write the joined report")
    parser.add_argument("--html", type=Path, metavar="OUT.html", help="write it as one HTML file")
    parser.add_argument(
        "--expect",
        type=Path,
        metavar="FILE",
        help="tests that must have a result, one node id a line, as pytest --collect-only -q prints them; "
        "without it all that any of the jobs collected",
    )
    add_strict(parser)


def run(args: argparse.Namespace) -> int:
    """Join, write, print; return the exit code of the whole."""
    listed = _expected(args.expect) if args.expect else None
    if args.output:
        check_file("--output", args.output, args.expect, *args.reports)
    if args.html:
        check_file("--html", args.html, args.expect, args.output, *args.reports)
    report = merge({str(path): read_report(path) for path in args.reports})
    unrun = [test for test, ran in report.collected.items() if not ran]
    expected = unrun if listed is None else listed
    report = replace(report, rows=(*report.rows, *missing(expected, report.rows)), provenance=made_by(args))
    if args.output:
        json.write(report, str(args.output))
    if args.html:
        page.write(report, str(args.html))
    return conclude(report.rows, strict=args.strict)


def _expected(path: Path) -> list[str]:
    try:
        lines = read_whole(path).decode("utf-8").splitlines()
    except (OSError, ValueError, ModelError) as error:
        raise UsageError(f"--expect {path} cannot be read: {error}") from error
    ids = [line.strip() for line in lines if "::" in line]
    if not ids:
        raise UsageError(
            f"--expect {path} names no test; allowed: one node id a line, such as test_it.py::test_x"
        )
    return ids

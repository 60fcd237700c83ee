"""``quantcheck diff``: what changed between two JSON reports."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_quantcheck.report.difference import difference
from pytest_quantcheck.report.read import read_report
from pytest_quantcheck.wording import counted


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck diff``."""
    parser = subparsers.add_parser(
        "diff",
        help="say what changed between two JSON reports",
        description="Prints results that are new, gone or changed: outcome, scores, counters, sizes, model, "
        "runtime. It judges nothing: the exit code is 0 whatever changed (gate.check(baseline=) judges).",
    )
    parser.add_argument(
        "old", type=Path, metavar="OLD.json", help="what pytest --qc-report=json= wrote before"
    )
    parser.add_argument("new", type=Path, metavar="NEW.json", help="what it wrote later")


def run(args: argparse.Namespace) -> int:
    """Print what changed; returns 0."""
    old, new = read_report(args.old).rows, read_report(args.new).rows
    lines = difference(old, new)
    for line in lines:
        print(line)
    print(f"{counted(len(lines), 'difference')}; {counted(len(old), 'result')} before, {len(new)} now")
    return 0

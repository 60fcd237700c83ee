"""The results as JSON, for pipelines. ``schema.json`` beside this file says what each document holds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict

from pytest_quantcheck.report.file import write_file
from pytest_quantcheck.report.provenance import Provenance
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.verdict.row import count, overall

SCHEMAS = {
    "report": "quantcheck-report-3",
    "run": "quantcheck-run-2",
    "compare": "quantcheck-compare-2",
    "explain": "quantcheck-explain-1",
    "benchmark": "quantcheck-benchmark-1",
}
"""The name and version that each document carries. A version changes when a reader would have to."""


def write(report: Report, target: str) -> None:
    write_file(target, render(report))


def render(report: Report) -> str:
    """One ``outcome`` for the run (``pass``, ``regression``, ``rig_fault``, ``error`` or ``unjudged``), and
    one object per row, as ``Row.to_dict`` gives it.
    """
    content = {
        "outcome": overall(report.rows),
        "counts": count(report.rows),
        "left_out": dict(report.left_out),
        "omitted": dict(report.omitted),
        "collected": dict(report.collected),
        "models": {row.model: row.model_sha256 for row in report.rows if row.model},
        "history": [asdict(each) for each in report.history],
        "results": [row.to_dict() for row in report.rows],
    }
    return document("report", content, report.provenance)


def document(kind: str, content: Mapping[str, object], provenance: Provenance) -> str:
    """A document of this project: ``content`` with the name of its schema and what made it.

    Numbers that are not finite are null: JSON knows no others, and most of its readers refuse them.
    """
    whole = {"schema": SCHEMAS[kind], "provenance": asdict(provenance), **content}
    return json.dumps(_finite(whole), indent=1, sort_keys=True, allow_nan=False) + "\n"


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

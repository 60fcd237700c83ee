"""JSON reports back into ``Report``. What a file says is checked, not trusted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.report.cells import cells
from pytest_quantcheck.report.json import SCHEMAS
from pytest_quantcheck.report.provenance import Provenance
from pytest_quantcheck.report.report import Report, Trend
from pytest_quantcheck.verdict.row import Row, overall


def read_report(path: Path) -> Report:
    """What ``--qc-report json=`` wrote, as far as it can be joined and compared: rows, what was omitted, what
    made it. Raises ``UsageError`` for anything else.
    """
    try:
        document = json.loads(read_whole(path).decode("utf-8"))
    except (OSError, ModelError) as error:
        raise UsageError(f"the report {path} cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON report: {error}") from error
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list) or not all(isinstance(each, dict) for each in results):
        raise UsageError(f"{path} is no report; allowed: what pytest --qc-report=json=FILE writes")
    if document.get("schema") != SCHEMAS["report"]:
        raise UsageError(
            f"{path} has the schema {document.get('schema')!r}, this version reads {SCHEMAS['report']}; use "
            "the version of pytest-quantcheck that wrote it"
        )
    try:
        rows = tuple(Row.from_dict(_with_numbers(each)) for each in results)
        _ = [cells(row) for row in rows]
        omitted = {str(reason): int(count) for reason, count in document.get("omitted", {}).items()}
        collected = {test: bool(ran) for test, ran in document.get("collected", {}).items()}
        history = tuple(_trend(**each) for each in document.get("history", ()))
        made = _provenance(document.get("provenance", {}))
    except (UsageError, TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
        raise UsageError(f"{path}: a result cannot be read: {error}") from error
    if document.get("outcome") != overall(rows):
        raise UsageError(
            f"{path} says that its outcome is {document.get('outcome')!r}, but its results make it "
            f"{overall(rows)!r}: it was changed, or it is damaged"
        )
    return Report(rows, made, omitted=omitted, collected=collected, history=history)


def _with_numbers(result: dict[str, Any]) -> dict[str, Any]:
    """A result whose scores are numbers again where the document has null: those are not finite."""
    scores = result.get("scores")
    if not isinstance(scores, list):
        return result
    numbers = [
        {**each, "value": math.nan} if isinstance(each, dict) and each.get("value", 0) is None else each
        for each in scores
    ]
    return {**result, "scores": numbers}


def _trend(*, test: str, target: str, metric: str, points: list[Any], **_: object) -> Trend:
    """A trend without what a later version says of it; numbers that are not finite have no point."""
    known = tuple((str(revision), float(value)) for revision, value in points if value is not None)
    return Trend(str(test), str(target), str(metric), known)


def _provenance(plain: Mapping[str, Any]) -> Provenance:
    """What is known; keys of a later version are left out, as its page asks of readers."""
    known = {field.name for field in fields(Provenance)}
    made = Provenance(**{key: value for key, value in plain.items() if key in known})
    if not isinstance(made.revision, str):
        raise UsageError(f"the provenance's revision is {made.revision!r}; allowed: a text")
    return made

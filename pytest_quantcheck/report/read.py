"""JSON reports back into rows. What a file says is checked, not trusted."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.report.cells import cells
from pytest_quantcheck.report.json import SCHEMAS
from pytest_quantcheck.verdict.row import Row, overall


def read_report(path: Path) -> list[Row]:
    """The rows of a report that ``--qc-report json=`` wrote. Raises ``UsageError`` for anything else."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UsageError(f"the report {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON report: {error}") from error
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list) or not all(isinstance(each, dict) for each in results):
        raise UsageError(f"{path} is no report; allowed: what pytest --qc-report=json=FILE writes")
    if document.get("schema") != SCHEMAS["report"]:
        raise UsageError(
            f"{path} has the schema {document.get('schema')!r}, this version reads {SCHEMAS['report']!r}; "
            "use the version of pytest-quantcheck that wrote it"
        )
    try:
        rows = [Row.from_dict(_with_numbers(each)) for each in results]
        _ = [cells(row) for row in rows]
    except (UsageError, TypeError, ValueError, AttributeError, KeyError) as error:
        raise UsageError(f"{path}: a result cannot be read: {error}") from error
    if document.get("outcome") != overall(rows):
        raise UsageError(
            f"{path} says that its outcome is {document.get('outcome')!r}, but its results make it "
            f"{overall(rows)!r}: it was changed, or it is damaged"
        )
    return rows


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

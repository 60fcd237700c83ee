"""The results as JSON, for pipelines: one ``outcome`` for the run, one object per row."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pytest_quantcheck.verdict.row import Row, count, overall

SCHEMA = 2


def render(rows: Sequence[Row]) -> str:
    """``{"schema", "outcome", "counts", "results"}``; ``outcome`` is ``pass``, ``regression``, ``rig_fault``,
    ``error`` or ``unjudged``. A result is ``Row.to_dict()``.
    """
    document = {
        "schema": SCHEMA,
        "outcome": overall(rows),
        "counts": count(rows),
        "results": [row.to_dict() for row in rows],
    }
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n"

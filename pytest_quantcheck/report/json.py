"""The results as JSON, for pipelines: one ``outcome`` for the run, one object per row."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pytest_quantcheck.report.row import Row, count, overall

SCHEMA = 1


def render(rows: Sequence[Row]) -> str:
    """``{"schema", "outcome", "counts", "results"}``; ``outcome`` is ``pass``, ``regression``, ``rig_fault``,
    ``error`` or ``unjudged``.
    """
    document = {"schema": SCHEMA, "outcome": overall(rows), "counts": count(rows), "results": list(rows)}
    return json.dumps(document, indent=1, sort_keys=True) + "\n"

"""Rows that arrive in the controlling process, from its own items or from a worker's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_quantcheck.verdict.row import Plain, Row


def repeated(rows: Sequence[Row | dict[str, Plain]], times: int) -> list[Row]:
    """The rows that a report carried, plain where it came from a worker, of an item that was run ``times``
    times before.
    """
    found = [row if isinstance(row, Row) else Row.from_dict(row) for row in rows]
    return [replace(row, reruns=times) for row in found] if times else found


def crashed(nodeid: str) -> Row:
    """The row of an item whose process died."""
    return Row(test=nodeid, case=nodeid, outcome="error", reason="its worker process died")

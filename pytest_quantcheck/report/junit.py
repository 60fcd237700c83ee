"""JUnit properties of a test: what a build server shows beside pass and fail."""

from __future__ import annotations

from pytest_quantcheck.report.row import Row, plain


def properties(row: Row) -> list[tuple[str, str]]:
    """``qc.<key>`` for every known value; lists are joined with ``; ``."""
    return [
        (f"qc.{key}", "; ".join(value) if isinstance(value, list) else str(value))
        for key, value in plain(row).items()
        if key not in ("test", "percent")
    ]

"""JUnit properties of a test: what a build server shows beside pass and fail."""

from __future__ import annotations

from pytest_quantcheck.verdict.row import Row

_SHOWN = (
    "case", "name", "model", "runner", "runtime", "target", "board", "samples", "exact", "counter",
    "counter_spread", "unit", "latency_ms", "arena", "image", "stack", "firmware", "outcome", "reason",
    "fault", "retries", "faults", "erased_sectors", "findings", "log",
)  # fmt: skip


def properties(row: Row) -> list[tuple[str, str]]:
    """``qc.<key>`` for every known value; lists are joined with ``; ``. Scores by their metric's name."""
    values: dict[str, object] = {key: getattr(row, key) for key in _SHOWN}
    for score in row.scores:
        of = f" of {score.output}" if score.output else ""
        values |= {f"{score.metric}{of}": score.value, f"{score.metric}{of}.float": score.float_value}
        values |= {f"{score.metric}{of}.drop": score.drop, f"{score.metric}{of}.samples": score.samples}
    values |= {"failed": row.failed, "not_judged": row.not_judged}
    return [(f"qc.{key}", _text(value)) for key, value in values.items() if not _unknown(value)]


def _unknown(value: object) -> bool:
    return value is None or (isinstance(value, (str, tuple)) and not value)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    item = getattr(value, "item", None)  # NumPy's numbers are written like Python's own
    return str(item() if item is not None else value)

"""JUnit properties of a test: what a build server shows beside pass and fail."""

from __future__ import annotations

from pytest_quantcheck.baselines.change import worst
from pytest_quantcheck.verdict.row import Row

_SHOWN = (
    "case", "name", "model", "model_sha256", "data_sha256", "runner", "runtime", "target", "board", "samples",
    "exact", "counter", "counter_spread", "unit", "latency_ms", "arena", "image", "stack", "firmware",
    "outcome", "reason", "fault", "retries", "faults", "erased_sectors", "findings", "log",
)  # fmt: skip


def properties(row: Row) -> list[tuple[str, str]]:
    """``qc.<key>`` for every known value."""
    return [(f"qc.{key}", text(value)) for key, value in known(row).items()]


def known(row: Row) -> dict[str, object]:
    """All values that are known. Scores by their metric's name; ``baseline`` is the worst change since values
    were stored, ``<metric>.baseline`` what was stored.
    """
    values: dict[str, object] = {key: getattr(row, key) for key in _SHOWN}
    for score in row.scores:
        of = f" of {score.output}" if score.output else ""
        values |= {f"{score.metric}{of}": score.value, f"{score.metric}{of}.float": score.float_value}
        values |= {f"{score.metric}{of}.drop": score.drop, f"{score.metric}{of}.samples": score.samples}
    if found := worst(row.changes):
        values |= {"baseline": found.state}
        values |= {f"{change.metric}.baseline": change.stored for change in row.changes}
    values |= {"failed": row.failed, "not_judged": row.not_judged}
    return {key: value for key, value in values.items() if not _unknown(value)}


def _unknown(value: object) -> bool:
    return value is None or (isinstance(value, (str, tuple)) and not value)


def text(value: object) -> str:
    """A value as people and programs read it; lists are joined with ``; ``."""
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    item = getattr(value, "item", None)  # NumPy's numbers are written like Python's own
    return str(item() if item is not None else value)

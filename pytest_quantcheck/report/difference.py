"""What changed between two reports, as lines of plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_quantcheck.report.cells import WORDS, number
from pytest_quantcheck.report.merge import identified
from pytest_quantcheck.verdict.row import Row

_COUNTED = ("counter", "arena", "image", "stack", "firmware")


def difference(old: Sequence[Row], new: Sequence[Row]) -> list[str]:
    """One line per result that came, went or changed, with all that changed about it."""
    before, after = identified(old), identified(new)
    lines = [f"gone: {_title(row)} ({WORDS[row.outcome]})" for key, row in before.items() if key not in after]
    for key, row in after.items():
        if key not in before:
            lines.append(f"new: {_title(row)} ({WORDS[row.outcome]})")
        elif changes := list(_changes(before[key], row)):
            lines.append(f"changed: {_title(row)}: {'; '.join(changes)}")
    return lines


def _title(row: Row) -> str:
    return f"{row.test or row.case} ({row.name})" if row.name else row.test or row.case


def _changes(old: Row, new: Row) -> Iterator[str]:
    if old.outcome != new.outcome:
        yield f"{WORDS[old.outcome]} -> {WORDS[new.outcome]}"
    if old.exact != new.exact:
        yield f"exact {_known(old.exact)} -> {_known(new.exact)}"
    yield from _scores(old, new)
    if old.unit != new.unit:
        yield f"counts {_known(old.unit)} -> {_known(new.unit)}"
    for name in _COUNTED:
        if name == "counter" and old.unit != new.unit:
            continue  # instructions beside cycles would be no change, but nonsense
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            what = new.unit if name == "counter" else name
            yield f"{what} {_count(was)} -> {_count(now)}{_share(was, now)}"
    for what in ("model_sha256", "runtime", "build_id", "board"):
        was, now = getattr(old, what), getattr(new, what)
        if was != now:
            yield f"{what} {_known(was[:40])} -> {_known(now[:40])}"


def _scores(old: Row, new: Row) -> Iterator[str]:
    before = {(score.metric, score.output): score for score in old.scores}
    for score in new.scores:
        name = f"{score.metric} of {score.output}" if score.output else score.metric
        was = before.pop((score.metric, score.output), None)
        if was is None:
            yield f"{name} {number(score, score.value)} is new"
        elif was.value != score.value:
            on = f" (on {was.samples} -> {score.samples} samples)" if was.samples != score.samples else ""
            yield f"{name} {number(was, was.value)} -> {number(score, score.value)}{on}"
    yield from (f"{metric} is gone" for metric, _ in before)


def _known(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None or value == "" else str(value)


def _count(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.10g}"


def _share(was: float | None, now: float | None) -> str:
    return f" ({now / was - 1:+.2%})" if was and now is not None else ""

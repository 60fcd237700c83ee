"""The summary table at the end of a pytest run, as lines of plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pytest_quantcheck.report.cells import HEADINGS, cells
from pytest_quantcheck.verdict.row import Row, count
from pytest_quantcheck.wording import counted

_RIGHT = frozenset({"score", "to float", "cost", "arena", "image"})
_COUNTED_ALWAYS = ("passed", "failed", "not judged", "rig faults")


def table(rows: Sequence[Row]) -> list[str]:
    """Headings and one line per row, columns aligned; columns without any value are left out."""
    lines = [HEADINGS, *(cells(row) for row in rows)]
    used = [n for n in range(len(HEADINGS)) if any(line[n] != "-" for line in lines[1:])]
    widths = {n: max(len(line[n]) for line in lines) for n in used}

    def align(line: tuple[str, ...]) -> str:
        parts = (
            line[n].rjust(widths[n]) if HEADINGS[n] in _RIGHT else line[n].ljust(widths[n]) for n in used
        )
        return "  ".join(parts).rstrip()

    return [align(line) for line in lines]


def not_judged(rows: Sequence[Row]) -> list[str]:
    """What could not be judged and why, each once, with the number of verdicts it stands for."""
    found = Counter(text for row in rows for text in row.not_judged)
    return [f"{text} ({counted(times, 'verdict')})" for text, times in found.items()]


def findings(rows: Sequence[Row]) -> list[str]:
    """What is suspicious about models and data: per code its first text, how many others, how many cases."""
    found: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        for text in row.findings:
            cases = found.setdefault(text.partition(":")[0], {}).setdefault(text, set())
            cases.add(row.case)
    return [_warning(texts) for texts in found.values()]


def _warning(texts: dict[str, set[str]]) -> str:
    cases, others = len(set().union(*texts.values())), len(texts) - 1
    more = f", {others} more of the kind" if others else ""
    return f"warning: {next(iter(texts))} ({counted(cases, 'case')}{more})"


def last_line(rows: Sequence[Row]) -> str:
    """``4 passed, 1 failed, 2 not judged, 0 rig faults``, then whatever else there is."""
    totals = count(rows)
    others = [name for name, number in totals.items() if number and name not in _COUNTED_ALWAYS]
    return ", ".join(f"{totals[name]} {name}" for name in (*_COUNTED_ALWAYS, *others))

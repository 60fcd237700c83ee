"""The summary table at the end of a pytest run, as lines of plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pytest_quantcheck.report.cells import HEADINGS
from pytest_quantcheck.report.cells import lines as lines_of
from pytest_quantcheck.verdict.causes.cause import SHOWN
from pytest_quantcheck.verdict.row import Row, count
from pytest_quantcheck.wording import counted, first_line, shortened, visible

_RIGHT = frozenset({"score", "to float", "cost", "arena", "image"})
_COUNTED_ALWAYS = ("passed", "failed", "not judged", "rig faults")
_EXPLAINED = 20  # failed rows that say why below their line; the message of each failure says it as well


def table(rows: Sequence[Row]) -> list[str]:
    """Headings and one line per row, columns aligned; columns without any value are left out."""
    lines = lines_of(rows)
    used = [n for n in range(len(HEADINGS)) if any(line[n] != "-" for line in lines[1:])]
    widths = {n: max(len(line[n]) for line in lines) for n in used}

    def align(line: tuple[str, ...]) -> str:
        parts = (
            line[n].rjust(widths[n]) if HEADINGS[n] in _RIGHT else line[n].ljust(widths[n]) for n in used
        )
        return first_line(visible("  ".join(parts))).rstrip()

    return [align(line) for line in lines]


def explained(rows: Sequence[Row]) -> list[str]:
    """The table, with the reasons of each failure below its line."""
    head, *body = table(rows)
    lines, left = [head], _EXPLAINED
    for row, line in zip(rows, body, strict=True):
        reasons = why(row)
        lines += [line, *(f"  {visible(reason)}" for reason in reasons if left)]
        left -= bool(reasons and left)
    return lines


def why(row: Row) -> list[str]:
    """Why a row did not pass, in a few lines: each limit with what was found, the divergence, the log."""
    if row.outcome not in ("regression", "rig_fault", "error"):
        return []
    lines = [f"{each.name}: {first_line(each.text)}" for each in row.criteria if each.passed is False]
    lines += [row.reason] if row.reason else []
    if row.divergence is not None:
        lines.append(f"first diverging: {row.divergence.where}; {row.divergence.reason}")
        lines += [f"what to do: {row.divergence.remedy}"] if row.divergence.remedy else []
    for cause in row.causes[:SHOWN]:
        lines += str(cause).splitlines()
    if lost := [name for score in row.scores for name in score.lost]:
        lines.append(f"{counted(len(lost), 'sample')} lost against the float model: {shortened(lost, 5)}")
    return [*lines, *([f"serial log: {row.log}"] if row.log else [])]


def boards(rows: Sequence[Row]) -> list[str]:
    """One line per board: who it is, which runtime made its numbers, and what the rig went through."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.board:
            found.setdefault((row.board, row.target), []).append(row)
    return [_board(name, target, its) for (name, target), its in found.items()]


def _board(name: str, target: str, rows: list[Row]) -> str:
    runtimes = dict.fromkeys(
        f"{row.runtime}{f', build {row.build_id}' if row.build_id else ''}" for row in rows
    )
    words = [counted(len(rows), "verdict")]
    for amount, noun in (
        (sum(row.retries or 0 for row in rows), "retry"),
        (sum(row.erased_sectors or 0 for row in rows), "erased sector"),
        (sum(row.outcome == "rig_fault" for row in rows), "rig fault"),
    ):
        words += [counted(amount, noun)] if amount else []
    who = name if name == target else f"{name} ({target})"
    made = "; ".join(each for each in runtimes if each)
    return f"board {who}: {f'{made}: ' if made else ''}{', '.join(words)}"


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

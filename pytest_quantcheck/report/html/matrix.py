"""The matrix: configurations down, boards and host references across, the worst outcome in each cell."""

from __future__ import annotations

from pytest_quantcheck.report.cells import cost, place
from pytest_quantcheck.report.html.markup import Html, join, table, tag
from pytest_quantcheck.report.naming import MARKS, ORDER, configuration, maker, value
from pytest_quantcheck.verdict.row import Row

_FEWEST, _MOST = 2, 600  # cells
WORDS = {
    "pass": "passed",
    "regression": "regression",
    "rig_fault": "rig fault",
    "error": "error",
    "expected": "failed as expected",
    "unjudged": "not judged",
}


def matrix(rows: tuple[Row, ...]) -> Html | None:
    """None where it would have a single cell."""
    found: dict[tuple[str, str], list[int]] = {}
    for index, row in enumerate(rows):
        found.setdefault((configuration(row), _place(row)), []).append(index)
    names = list(dict.fromkeys(name for name, _ in found))
    places = sorted({where for _, where in found})
    if len(found) < _FEWEST:
        return None
    shown = names[: max(1, _MOST // len(places))]
    body = (
        [tag("th", name, scope="row"), *(_cell(rows, found.get((name, where), [])) for where in places)]
        for name in shown
    )
    rest = len(names) - len(shown)
    note = [tag("p", f"{rest} more configurations: see the cases", class_="note")] if rest else []
    return join([_legend(), table(["configuration", *places], body, class_="matrix"), *note])


def _cell(rows: tuple[Row, ...], chosen: list[int]) -> Html:
    if not chosen:
        return tag("td", "·", class_="none")
    index = min(chosen, key=lambda each: ORDER.index(rows[each].outcome))
    row = rows[index]
    score = value(row.score, row.score.value) if row.score else ""
    numbers = [cost(row) if cost(row) != "-" else "", f"{len(chosen)} verdicts" if len(chosen) > 1 else ""]
    return tag(
        "td",
        tag(
            "a",
            f"{MARKS[row.outcome]} {score or WORDS[row.outcome]}",
            href=f"#case-{index}",
            title=maker(row),
        ),
        *(tag("small", each) for each in numbers if each),
        class_=row.outcome,
    )


def _place(row: Row) -> str:
    """As everywhere, but what never ran has no runner to be named by."""
    return place(row) if place(row) != "-" else row.target


def _legend() -> Html:
    return tag("p", ", ".join(f"{mark} {WORDS[outcome]}" for outcome, mark in MARKS.items()), class_="note")

"""Tables behind scores, such as confusion matrices: shaded, where all values are counts."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_quantcheck.report.html.markup import Html, table, tag
from pytest_quantcheck.report.naming import cell, maker, scored_by, title
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.verdict.table import Cell, Table
from pytest_quantcheck.wording import counted

_MOST_TABLES, _MOST_CELLS, _SHADES = 24, 10_000, 9  # cells of all tables together


def score_tables(rows: tuple[Row, ...]) -> Html | None:
    """Each table once, with the cases that have the same."""
    found: dict[Table, list[tuple[int, str]]] = {}
    for index, row in enumerate(rows):
        for score in row.scores:
            for each in score.detail:
                found.setdefault(each, []).append((index, scored_by(row, score)))
    if not found:
        return None
    figures, room = [], _MOST_CELLS
    for each, cases in list(found.items())[:_MOST_TABLES]:
        size = len(each.rows) * len(each.columns)
        figures.append(_figure(rows, each, cases, whole=size <= room))
        room -= size if size <= room else 0
    rest = len(found) - len(figures)
    if rest:
        figures.append(tag("p", f"{counted(rest, 'other table')}: in the JSON report", class_="note"))
    return tag("div", *figures, class_="cards")


def _figure(rows: tuple[Row, ...], found: Table, cases: Sequence[tuple[int, str]], *, whole: bool) -> Html:
    index, by = cases[0]
    others = f" and {counted(len(cases) - 1, 'other case')}" if len(cases) > 1 else ""
    caption = tag(
        "figcaption",
        f"{found.title}: ",
        tag("a", title(rows[index]), href=f"#case-{index}"),
        tag("small", f"{others}, made by {by or maker(rows[index])}"),
    )
    if not whole:
        size = f"{len(found.rows)} × {len(found.columns)}"
        return tag("figure", caption, tag("p", f"{size} values: in the JSON report", class_="note"))
    head = [found.corner, *found.columns]
    counts = all(isinstance(value, int) for values in found.rows for value in values)
    body = (
        [tag("th", name, scope="row"), *(_cell(found, values, value, counts) for value in values)]
        for name, values in zip(found.names, found.rows, strict=False)
    )
    return tag("figure", caption, table(head, body, class_="values"), class_="card")


def _cell(found: Table, values: Sequence[Cell], value: Cell, counts: bool) -> Html:
    if value is None:
        return tag("td", "-", class_="none")
    total = sum(each or 0 for each in values) if counts else 0
    shade = f"h{min(_SHADES, round(value / total * _SHADES))}" if total > 0 and value > 0 else None
    return tag("td", cell(value, found.percent), class_=shade)

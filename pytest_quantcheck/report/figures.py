"""``PREFIX-metrics.md`` and ``PREFIX-confusion-matrix.png``, for documents that want files of their own."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pytest_quantcheck.report.file import write_file
from pytest_quantcheck.report.markdown import line, plain
from pytest_quantcheck.report.naming import cell, maker, scored_by, title, value
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.verdict.table import CONFUSION, Table
from pytest_quantcheck.wording import visible

_MOST, _COLUMNS, _LABELLED, _NUMBERED = 12, 3, 40, 20
_CHARACTERS = 120


def write(report: Report, target: str) -> list[str]:
    """The second file is written where a score has a confusion matrix."""
    names = [f"{target}-metrics.md"]
    write_file(names[0], metrics(report))
    if found := matrices(report):
        names.append(f"{target}-confusion-matrix.png")
        write_file(names[1], picture(found))
    return [f"figures report: {name}" for name in names]


def metrics(report: Report) -> str:
    """A table of all scores, each with the runtime that made it, and the tables behind them."""
    head = ("case", "metric", "value", "float model", "drop", "samples", "made by")
    lines = ["# Metrics", "", line(head), line(["---"] * len(head))]
    for row in report.rows:
        for score in row.scores:
            name = f"{score.metric} of {score.output}" if score.output else score.metric
            drop = "-" if score.drop is None else value(score, score.drop)
            numbers = (value(score, score.value), value(score, score.float_value), drop, f"{score.samples}")
            lines.append(line((title(row), name, *numbers, scored_by(row, score))))
    for row in report.rows:
        for score in row.scores:
            for table in score.detail:
                lines += ["", f"## {plain(f'{title(row)}: {table.title}')}", "", *_table(table)]
    return "\n".join([*lines, ""])


def matrices(report: Report) -> list[tuple[str, Table]]:
    """Each confusion matrix once, with the case and the runtime that it is of."""
    found: dict[Table, str] = {}
    for row in report.rows:
        for score in row.scores:
            for table in score.detail:
                if table.title == CONFUSION:
                    found.setdefault(table, f"{title(row)}\n{maker(row)}")
    return [(name, table) for table, name in found.items()]


def picture(found: Sequence[tuple[str, Table]]) -> bytes:
    """A PNG with the first ``_MOST`` matrices: rows are the truth, shares of a row are shades."""
    shown = found[:_MOST]
    columns = min(_COLUMNS, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(5 * columns, 5 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (name, table) in enumerate(shown, 1):
        axes = figure.add_subplot(lines, columns, place)
        counts = [[count or 0 for count in row] for row in table.rows]
        shares = [[count / (sum(row) or 1) for count in row] for row in counts]
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_title(_label(name), fontsize=9)
        axes.set_xlabel("predicted")
        axes.set_ylabel("truth")
        if len(table.columns) <= _LABELLED:
            axes.set_xticks(range(len(table.columns)), map(_label, table.columns), rotation=90, fontsize=8)
            axes.set_yticks(range(len(table.names)), map(_label, table.names), fontsize=8)
        if len(table.columns) <= _NUMBERED:
            for y, row in enumerate(counts):
                for x, count in enumerate(row):
                    colour = "white" if shares[y][x] > 0.5 else "black"
                    axes.text(x, y, f"{count:g}", ha="center", va="center", fontsize=7, color=colour)
    buffer = BytesIO()
    with (
        warnings.catch_warnings()
    ):  # a letter that no font has becomes a box: no reason to fail under -W error
        warnings.simplefilter("ignore")
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _label(text: str) -> str:
    """What matplotlib can draw, and takes for no formula (it looks for those between dollars)."""
    return visible(text)[:_CHARACTERS].replace("$", r"\$")


def _table(table: Table) -> list[str]:
    head = (table.corner, *table.columns)
    body = (
        (name, *(cell(each, table.percent) for each in row))
        for name, row in zip(table.names, table.rows, strict=False)
    )
    return [line(head), line(["---"] * len(head)), *map(line, body)]

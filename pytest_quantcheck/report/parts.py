"""Tables behind a score, such as a confusion matrix, where its metric gives any."""

from __future__ import annotations

from typing import Protocol, Union

from pytest_quantcheck.verdict.row import ScoreRow

Cell = Union[int, float, None]


class Table(Protocol):
    """``rows[i][j]`` belongs to ``names[i]`` and ``columns[j]``; None: not defined there. ``percent``: the
    fractions among the values are shown as percentages.
    """

    @property
    def title(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def rows(self) -> tuple[tuple[Cell, ...], ...]: ...
    @property
    def percent(self) -> bool: ...


def tables(score: ScoreRow) -> tuple[Table, ...]:
    return tuple(getattr(score, "detail", ()))

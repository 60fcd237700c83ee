"""Parts that a row or a score may have: tables behind a score, changes since baselines were stored."""

from __future__ import annotations

from typing import Protocol, Union

from pytest_quantcheck.verdict.row import Row, ScoreRow

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


class Change(Protocol):
    """A ``value`` now and ``stored`` before; ``state`` is *regression*, *stale*, *new* and so on."""

    @property
    def metric(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def value(self) -> float | None: ...
    @property
    def stored(self) -> float | None: ...
    @property
    def lost(self) -> tuple[str, ...]: ...
    @property
    def gained(self) -> tuple[str, ...]: ...


def tables(score: ScoreRow) -> tuple[Table, ...]:
    return tuple(getattr(score, "detail", ()))


def changes(row: Row) -> tuple[Change, ...]:
    return tuple(getattr(row, "baselines", ()))

"""``Table``: numbers behind a score, such as a confusion matrix, as plain values that reports can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

Cell = Union[int, float, None]
CONFUSION = "confusion matrix"


@dataclass(frozen=True)
class Table:
    """``rows[i][j]`` belongs to ``names[i]`` and ``columns[j]``. None: not defined there.

    ``title`` is ``per class``, ``confusion matrix`` (rows: the truth, columns: what was named) or what else a
    metric gives. ``percent``: the fractions among the values are shown as percentages.
    """

    title: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    percent: bool = False

    @property
    def corner(self) -> str:
        """What rows and columns are, where that does not go without saying."""
        return "truth / predicted" if self.title == CONFUSION else ""

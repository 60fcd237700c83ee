"""What an attack came to: one row of the table that ``make hostile`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Result:
    """``refused`` and ``ran`` are both fine; everything in ``faults`` is a bug, by kind, with what did it.

    Kinds: ``traceback`` (an exception that is none of ours), ``hang`` (over its deadline), ``memory``
    (over its limit), ``wrong pass``, ``executed`` (a stranger's code ran), ``changed`` (a file elsewhere).
    """

    attack: str
    tried: int = 0
    refused: int = 0
    ran: int = 0
    faults: dict[str, list[str]] = field(default_factory=dict)

    def fault(self, kind: str, what: str) -> None:
        """Note one bug."""
        self.faults.setdefault(kind, []).append(what)

    def add(self, other: Result) -> None:
        """Count what ``other`` counted too."""
        self.tried += other.tried
        self.refused += other.refused
        self.ran += other.ran
        for kind, found in other.faults.items():
            self.faults.setdefault(kind, []).extend(found)

    @property
    def count(self) -> int:
        """How many bugs there are."""
        return sum(map(len, self.faults.values()))


KINDS = ("traceback", "hang", "memory", "wrong pass", "executed", "changed")


def table(results: Sequence[Result]) -> list[str]:
    """Aligned lines: a row per attack, the totals, and the first of each kind of bug."""
    heads = ("attack", "tried", "refused", "ran", *KINDS)
    total = Result("total")
    for result in results:
        total.add(result)
    rows = [
        (
            each.attack,
            *(str(n) for n in (each.tried, each.refused, each.ran)),
            *(str(len(each.faults.get(kind, ()))) for kind in KINDS),
        )
        for each in (*results, total)
    ]
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in (heads, *rows)
    ]
    return [*lines, *(f"{kind}: {found[0]}" for kind, found in total.faults.items())]

"""``python -m tests.hostile.mutants [COUNT]``: damaged models through check, run and compare; one table.

Promised is a clear answer to each: no traceback, no death of the process, at most 10 s and 1 GiB for a
command, and no two runners that promise the same integers and give different ones.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile.mutations import mutant
from tests.hostile.sources import sources
from tests.hostile.victim import Answer, Victim

COUNT = 3_000


@dataclass
class Row:
    """One source's mutants; ``faults`` has the seed and the answer of each that is wrong.

    A mutant ran where two runners were compared, and was refused where a message said why not.
    """

    source: str
    tried: int = 0
    refused: int = 0
    ran: int = 0
    tracebacks: int = 0
    hangs: int = 0
    wrong_passes: int = 0
    faults: list[tuple[str, Answer]] = field(default_factory=list)

    @property
    def cells(self) -> tuple[str | int, ...]:
        """As they stand in the table."""
        numbers = (self.tried, self.refused, self.ran, self.tracebacks, self.hangs, self.wrong_passes)
        return (self.source, *numbers)

    def add(self, seed: str, answers: Sequence[Answer]) -> None:
        """Count one mutant."""
        self.tried += 1
        ran = any(answer.code in (0, 1) for answer in answers if answer.call.startswith("compare"))
        self.ran += ran
        self.refused += not ran
        for answer in answers:
            self.tracebacks += answer.crashed
            self.hangs += answer.hung
            self.wrong_passes += answer.wrong_pass
            if answer.crashed or answer.hung or answer.wrong_pass:
                self.faults.append((seed, answer))


HEADER = ("source", "tried", "refused", "ran", "tracebacks", "hangs", "wrong passes")


def table(count: int = COUNT, found: Mapping[str, bytes] | None = None, *, seed: int = 0) -> list[Row]:
    """``count`` mutants of the sources, taken in turn; one row each."""
    found = sources() if found is None else found
    rows = {name: Row(name) for name in found}
    with tempfile.TemporaryDirectory(prefix="quantcheck-hostile-") as folder:
        victim = Victim(Path(folder))
        try:
            for number in range(count):
                name = list(found)[number % len(found)]
                at = f"{seed}/{name}/{number}"
                artefact = mutant(found[name], at)
                rows[name].add(at, victim.attack(artefact, found[name]))
        finally:
            victim.close()
    return list(rows.values())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.mutants", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rows = table(options.count, seed=options.seed)
    for cells in (HEADER, *(row.cells for row in rows)):
        print(f"{cells[0]:28}" + "".join(f"{cell:>14}" for cell in cells[1:]))
    for row in rows:
        for seed, answer in row.faults:
            spent = f"{answer.seconds:.1f} s, {answer.peak} bytes"
            print(f"\n{seed}: {answer.call}: exit code {answer.code}, {spent}\n{answer.text}")
    return 1 if any(row.faults for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

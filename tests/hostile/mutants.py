"""``python -m tests.hostile.mutants [COUNT]``: damaged models through check, run and compare; one table.

Promised is a clear answer to each: no traceback, no death of the process, at most 10 s and 1 GiB for a
command, and no two runners that promise the same integers and give different ones.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.hostile.mutations import mutant
from tests.hostile.result import Result, table
from tests.hostile.sources import sources
from tests.hostile.victim import Answer, Victim

COUNT = 3_000


def judge(result: Result, seed: str, answers: Sequence[Answer]) -> None:
    """Count one mutant: it ran where two runners were compared, and else a message said why not."""
    result.tried += 1
    ran = any(answer.code in (0, 1) for answer in answers if answer.call.startswith("compare"))
    result.ran += ran
    result.refused += not ran
    for answer in answers:
        flaws = {"traceback": answer.crashed, "hang": answer.hung, "wrong pass": answer.wrong_pass}
        for flaw in (name for name, is_so in flaws.items() if is_so):
            result.fault(flaw, f"{seed}: {answer}")


def attack(
    count: int = COUNT, found: Mapping[str, bytes] | None = None, *, first: int = 0, seed: int = 0
) -> list[Result]:
    """``count`` mutants of the sources from number ``first`` on, taken in turn; a row for each source."""
    found = sources() if found is None else found
    rows = {name: Result(name) for name in found}
    with tempfile.TemporaryDirectory(prefix="quantcheck-hostile-") as folder:
        victim = Victim(Path(folder))
        try:
            for number in range(first, first + count):
                name = list(found)[number % len(found)]
                at = f"{seed}/{name}/{number}"
                artefact = mutant(found[name], at)
                judge(rows[name], at, victim.attack(artefact, found[name]))
        finally:
            victim.close()
    return list(rows.values())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.mutants", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rows = attack(options.count, seed=options.seed)
    print(*table(rows), *(each for row in rows for found in row.faults.values() for each in found), sep="\n")
    return int(any(row.count for row in rows))


if __name__ == "__main__":
    sys.exit(main())

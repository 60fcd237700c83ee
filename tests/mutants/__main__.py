"""``python -m tests.mutants``: are the tests able to fail?

Exit status 1 when a hand-made mutant survives, a survivor has no reason in equivalents.py, a reason is
for a mutant that is caught or gone, or fewer than 98 % of the generated ones are caught.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.mutants import report, sites
from tests.mutants.edit import Mutant
from tests.mutants.equivalents import REASONS
from tests.mutants.run import BrokenSuiteError, Failure, Result, Workshop

PYTHON_COUNT, C_COUNT = 80, 120
REPORT = sites.ROOT / "docs" / "mutants.md"


def main() -> int:
    options = _options()
    population = sites.population()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="quantcheck-mutants-") as folder:
        workshop = Workshop(sites.ROOT, Path(folder), options.jobs)
        chosen = _chosen(options, population, workshop)
        if not chosen:
            print(f"no mutant has any of {options.only} in its name")
            return 2
        try:
            results = _results(chosen, workshop, options.resume)
        except BrokenSuiteError as error:
            print(error)
            return 2
    complaints = report.complaints(results, REASONS, population)
    took = f"{(time.monotonic() - started) / 60:.0f} minutes, {_cpu_minutes():.0f} of computing"
    print(f"{report.summary(results)}; {took}")
    if options.markdown:
        options.markdown.write_text(report.page(results, REASONS, population, options.seed, took))
    print("\n".join(complaints))
    return bool(complaints)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", nargs="+", help="only mutants with one of these texts in their names")
    parser.add_argument("--python", type=int, default=PYTHON_COUNT, help="size of the sample of numerics/")
    parser.add_argument("--c", type=int, default=C_COUNT, help="size of the sample of the C kernels")
    parser.add_argument("--seed", type=int, default=sites.SEED, help="of the samples")
    parser.add_argument("--generated", action="store_true", help="leave the hand-made ones out")
    parser.add_argument(
        "--markdown", nargs="?", type=Path, const=REPORT, help="write the tables here (default: %(const)s)"
    )
    parser.add_argument(
        "--resume", type=Path, help="results are added to this file, and what it has is not run again"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    return parser.parse_args()


def _chosen(options: argparse.Namespace, population: sites.Population, workshop: Workshop) -> list[Mutant]:
    handmade = [] if options.generated else sites.handmade()
    if options.only:
        everything = [*handmade, *population.python, *population.c]
        return [m for m in everything if any(text in m.key for text in options.only)]
    python = sites.sample(population.python, options.python, options.seed)
    c = workshop.viable(sites.sample(population.c, len(population.c), options.seed), options.c)
    return [*handmade, *python, *c]


def _results(chosen: list[Mutant], workshop: Workshop, resume: Path | None) -> list[Result]:
    """Of all mutants, in order; those that ``resume`` has are not run again."""
    known = _read(resume) if resume else {}
    new = [m for m in chosen if m.key not in known]
    if new:
        print(f"{len(new)} mutants; first, the tests without any", flush=True)
        workshop.prove_suite(new)
    for number, result in enumerate(workshop.run(new), 1):
        failure = result.failure
        print(f"[{number:3}/{len(new)}] {result.seconds:5.1f} s  {result.mutant.key}")
        print(f"{'':18}{f'{failure.how}: {failure.test}' if failure else 'SURVIVED'}", flush=True)
        known[result.mutant.key] = result.failure
        if resume:
            _append(resume, result)
    return [Result(m, known[m.key]) for m in chosen]


def _append(path: Path, result: Result) -> None:
    failure = result.failure and asdict(result.failure)
    with path.open("a") as file:
        file.write(json.dumps({"mutant": result.mutant.key, "failure": failure}) + "\n")


def _read(path: Path) -> dict[str, Failure | None]:
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return {row["mutant"]: Failure(**row["failure"]) if row["failure"] else None for row in rows}


def _cpu_minutes() -> float:
    times = os.times()
    return (times.children_user + times.children_system) / 60


if __name__ == "__main__":
    sys.exit(main())

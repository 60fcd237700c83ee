"""``python -m tests.mutants``: are the tests able to fail? Writes docs/mutants.md.

Exit status 1 when a hand-made mutant survives, a survivor has no reason in equivalents.py, a reason is
for a mutant that is caught or gone, or fewer than 98 % of the generated ones are caught.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants import report, sites
from tests.mutants.equivalents import REASONS
from tests.mutants.run import BrokenSuiteError, Result, Workshop

PYTHON_COUNT, C_COUNT = 80, 120
REPORT = sites.ROOT / "docs" / "mutants.md"


def main() -> int:
    options = _options()
    population = sites.population()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="quantcheck-mutants-") as folder:
        workshop = Workshop(sites.ROOT, Path(folder), options.jobs)
        if options.only:
            everything = [*sites.handmade(), *population.python, *population.c]
            chosen = [m for m in everything if any(text in m.key for text in options.only)]
        else:
            chosen = [
                *sites.handmade(),
                *sites.sample(population.python, options.python, options.seed),
                *workshop.viable(sites.sample(population.c, len(population.c), options.seed), options.c),
            ]
        if not chosen:
            print(f"no mutant has any of {options.only} in its name")
            return 2
        try:
            workshop.prove_suite(chosen)
            results = [_told(result) for result in workshop.run(chosen)]
        except BrokenSuiteError as error:
            print(error)
            return 2
    complaints = report.complaints(results, REASONS, population)
    if options.only:
        print("\n".join(complaints) or f"all {len(results)} as expected")
        return bool(complaints)
    text = report.page(results, REASONS, population, options.seed)
    REPORT.write_text(text)
    print(report.summary(results), f"in {(time.monotonic() - started) / 60:.1f} minutes; see {REPORT}")
    print("\n".join(complaints))
    return bool(complaints)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", nargs="+", help="only mutants with one of these texts in their names")
    parser.add_argument("--python", type=int, default=PYTHON_COUNT, help="size of the sample of numerics/")
    parser.add_argument("--c", type=int, default=C_COUNT, help="size of the sample of the C kernels")
    parser.add_argument("--seed", type=int, default=sites.SEED)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    return parser.parse_args()


def _told(result: Result) -> Result:
    verdict = f"caught by {result.caught_by}" if result.caught_by else "SURVIVED"
    print(f"{result.seconds:5.1f} s  {result.mutant.key}\n         {verdict}", flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())

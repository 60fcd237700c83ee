"""Runs variants in parallel and says who is named for whom, and whether that is good enough."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from pytest_quantcheck.verdict.causes.catalogue import CATALOGUE
from tests.catalogue.variant import CLEAN, FOREIGN, Found, Variant

PARTS = ("integers", "espdl", "data", "rig", "foreign", "clean")
RIGHT = 0.9
"""Of the variants, the right cause is among the first two."""


@dataclass(frozen=True)
class Result:
    part: str
    code: str
    name: str
    found: Found
    seconds: float
    broken: str = ""

    @property
    def right(self) -> bool:
        """As it should be: named among the first two, or, of no fault or a foreign one, not named at all."""
        if self.broken:
            return False
        if self.code == CLEAN:
            return not self.found.detected and not self.found.ranking
        if self.code == FOREIGN:
            return self.found.detected and not self.found.ranking
        return self.code in self.found.ranking[:2]


def parts() -> dict[str, list[Variant]]:
    """All variants of the parts that there are."""
    return {
        name: list(importlib.import_module(f"tests.catalogue.{name}").variants())
        for name in PARTS
        if importlib.util.find_spec(f"tests.catalogue.{name}") is not None
    }


def run_one(part: str, number: int) -> Result:
    """One variant, by its place: what is injected cannot be sent to another process."""
    variant = list(importlib.import_module(f"tests.catalogue.{part}").variants())[number]
    start = time.monotonic()
    try:
        found, broken = variant.find(), ""
    except Exception:
        found, broken = Found(False), traceback.format_exc()
    return Result(part, variant.code, variant.name, found, time.monotonic() - start, broken)


def run_all(chosen: Sequence[tuple[str, int]], jobs: int) -> Iterator[Result]:
    """Results as they come."""
    with ProcessPoolExecutor(jobs) as pool:
        for each in as_completed([pool.submit(run_one, *one) for one in chosen]):
            yield each.result()


def table(results: Sequence[Result]) -> list[str]:
    """One line per injected cause: variants, detected, right first and among the first two, named first."""
    codes = [*CATALOGUE, FOREIGN, CLEAN]
    lines = [f"{'injected':26} {'n':>3} {'seen':>4} {'1st':>4} {'1-2':>4}  named first"]
    for code in codes:
        mine = [each for each in results if each.code == code]
        if not mine:
            continue
        seen = sum(each.found.detected for each in mine)
        first = sum(each.found.named == code for each in mine)
        two = sum(each.right for each in mine)
        named = Counter("broken" if each.broken else each.found.named for each in mine)
        words = ", ".join(f"{name} {count}" for name, count in named.most_common())
        lines.append(f"{code:26} {len(mine):3} {seen:4} {first:4} {two:4}  {words}")
    return lines


def judged(results: Sequence[Result]) -> list[tuple[bool, str]]:
    """What was promised, and whether it is so."""
    injected = [each for each in results if each.code not in (FOREIGN, CLEAN)]
    foreign = [each for each in results if each.code == FOREIGN]
    clean = [each for each in results if each.code == CLEAN]
    detected = sum(each.found.detected for each in injected)
    right = sum(each.right for each in injected)
    accused = sum(bool(each.found.ranking) for each in foreign)
    blamed = sum(not each.right for each in clean)
    missing = [code for code in CATALOGUE if sum(each.code == code for each in injected) < 3]
    share = right / len(injected) if injected else 0.0
    return [
        (
            not missing,
            f"entries with three variants or more: {len(CATALOGUE) - len(missing)} of {len(CATALOGUE)}"
            + (f"; too few: {', '.join(missing)}" if missing else ""),
        ),
        (detected == len(injected), f"injected faults detected: {detected} of {len(injected)}"),
        (share >= RIGHT, f"right cause among the first two: {right} of {len(injected)} ({share:.1%})"),
        (
            not accused and len(foreign) >= 10,
            f"foreign faults named with confidence: {accused} of {len(foreign)}",
        ),
        (not blamed and bool(clean), f"clean runs accused: {blamed} of {len(clean)}"),
        (
            not any(each.broken for each in results),
            f"broken variants: {sum(bool(e.broken) for e in results)}",
        ),
    ]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.catalogue", description=__doc__)
    parser.add_argument("--only", default="", help="variants whose code or name contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args(arguments)
    start = time.monotonic()
    chosen = [
        (part, number)
        for part, variants in parts().items()
        for number, each in enumerate(variants)
        if args.only in each.code or args.only in f"{part} {each.name}"
    ]
    results: list[Result] = []
    for result in run_all(chosen, args.jobs):
        results.append(result)
        if not result.right:
            said = f"{result.found.ranking or result.found.named} {result.found.said}"
            print(f"\r{result.code}: {result.name}: {said}\n{result.broken}", end="")
        elif sys.stdout.isatty():
            print(f"\r{len(results)} of {len(chosen)}", end="", flush=True)
        if len(results) % 50 == 0:
            print(f"\r{len(results)} of {len(chosen)} variants, {time.monotonic() - start:.0f} s", flush=True)
    print("\n".join(table(results)))
    slowest = max(results, key=lambda each: each.seconds)
    print(
        f"{len(results)} variants in {time.monotonic() - start:.0f} s, the slowest {slowest.seconds:.1f} s "
        f"({slowest.code}, {slowest.name})"
    )
    if args.only:
        return 0 if all(each.right for each in results) else 1
    verdicts = judged(results)
    for good, text in verdicts:
        print(f"{'ok    ' if good else 'FAILED'} {text}")
    return 0 if all(good for good, _ in verdicts) else 1

"""Damaged models, strangers' files and lying boards, watched from outside; one table.

The attacks run beside each other in parts, one more than there are cores, since those on
boards mostly wait.
Exit code 1 when anything was a bug: traceback, hang, wrong pass, code that ran, a file touched elsewhere.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from rigs.stm32.virtual.qemu import die_with_parent
from tests.hostile import lying_boards, mutants, strangers_files
from tests.hostile.result import Result, table
from tests.hostile.sources import sources
from tests.hostile.watch import Watch

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("HOSTILE_SEED", "0"))
MUTANTS = int(os.environ.get("HOSTILE_MUTANTS", "3000"))
FILES_PER_KIND = int(os.environ.get("HOSTILE_FILES", "64"))
KEEP = Path(os.environ["HOSTILE_KEEP"]) if "HOSTILE_KEEP" in os.environ else None
MUTANTS_EACH, FILES_EACH, LIARS = 250, 16, 16  # of a part; parts

Part = Callable[[], list[Result]]


def damaged_models(found: dict[str, bytes], first: int, count: int) -> list[Result]:
    """``count`` mutants from number ``first`` on: results for networks, for operators, for ONNX."""
    results: dict[str, Result] = {}
    for row in mutants.attack(count, found, first=first, seed=SEED):
        first_word = row.attack.split()[0]
        kind = {"onnx": ".onnx networks", "network": ".tflite networks"}.get(first_word, "single operators")
        results.setdefault(kind, Result(f"mutants: {kind}")).add(row)
    return list(results.values())


def files_of_strangers(kind: str, first: int, count: int) -> list[Result]:
    """``count`` files of a kind from number ``first`` on; what met a bug is kept in ``HOSTILE_KEEP``."""
    return [strangers_files.attack(kind, count, first=first, seed=SEED, keep=KEEP)]


def liars(part: int) -> list[Result]:
    """Every ``LIARS``-th lie."""
    return [lying_boards.attack(slice(part, None, LIARS))]


def parts() -> Iterator[Part]:
    """The slow ones first."""
    for kind in reversed(strangers_files.KINDS):
        for first in range(0, FILES_PER_KIND, FILES_EACH):
            count = min(FILES_EACH, FILES_PER_KIND - first)
            yield functools.partial(files_of_strangers, kind, first, count)
    yield from (functools.partial(liars, part) for part in range(LIARS))
    found = sources()
    for first in range(0, MUTANTS, MUTANTS_EACH):
        yield functools.partial(damaged_models, found, first, min(MUTANTS_EACH, MUTANTS - first))


def run_all() -> list[Result]:
    """All parts, with a line for each that is done."""
    results: dict[str, Result] = {}
    began = time.monotonic()
    workers = (os.cpu_count() or 1) + 1
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, die_with_parent, (signal.SIGKILL,)) as pool:
        running = [pool.submit(part) for part in parts()]
        for done, part in enumerate(as_completed(running), 1):
            for result in part.result():
                results.setdefault(result.attack, Result(result.attack)).add(result)
                tried = f"{result.attack}: {result.tried} tried, {result.count} bugs"
                print(f"{time.monotonic() - began:5.0f} s  {done}/{len(running)}  {tried}", flush=True)
                for flaw, found in result.faults.items():
                    print(*(f"{flaw}: {each}" for each in found), sep="\n", flush=True)
    return [results[name] for name in sorted(results)]


def main() -> int:
    """Every attack, in a temporary folder; the home folder, the checkout and /etc are watched meanwhile.

    The home folder is one of their own, since programs of the user write to the real one all the time.
    """
    with tempfile.TemporaryDirectory(prefix="quantcheck-hostile-") as name:
        work, home = Path(name) / "work", Path(name) / "home"
        work.mkdir()
        libraries = [home / part for part in (".cache", ".keras", ".config/matplotlib")]  # their own settings
        for folder in libraries:
            folder.mkdir(parents=True)
        os.environ["TMPDIR"] = os.environ["QC_CACHE"] = tempfile.tempdir = str(work)
        os.environ["HOME"] = str(home)
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(work / "hypothesis")
        ours = ("build", "firmware/build", ".git", ".venv")
        own = [work, *libraries, *(ROOT / part for part in ours)]
        with Watch([home, ROOT, Path("/etc")], allowed=own) as watch:
            results = run_all()
        tempfile.tempdir = None
    elsewhere = Result("files elsewhere")
    for path in sorted(path for path in watch.changes if "__pycache__" not in path):
        elsewhere.fault("changed", path)
    results.append(elsewhere)
    print(*elsewhere.faults.get("changed", ()), sep="\n")
    print(*table(results), sep="\n")
    return int(any(result.count for result in results))

"""``make hostile``: damaged models, strangers' files and lying boards, watched from outside; one table.

Exit code 1 when anything was a bug: traceback, hang, wrong pass, code that ran, a file touched elsewhere.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.hostile import lying_boards, mutants, strangers_files
from tests.hostile.result import Result, table
from tests.hostile.watch import Watch

ROOT = Path(__file__).parents[2]
MUTANTS = int(os.environ.get("HOSTILE_MUTANTS", "3000"))
FILES_PER_KIND = int(os.environ.get("HOSTILE_FILES", "64"))


def damaged_models() -> Iterator[Result]:
    found: dict[str, Result] = {}
    for row in mutants.table(MUTANTS):
        first = row.source.split()[0]
        kind = {"onnx": ".onnx networks", "network": ".tflite networks"}.get(first, "single operators")
        result = found.setdefault(kind, Result(f"mutants: {kind}"))
        result.tried += row.tried
        result.refused += row.refused
        result.ran += row.ran
        _count(result, row, {"tracebacks": "traceback", "hangs": "hang", "wrong_passes": "wrong pass"})
    yield from found.values()


def files_of_strangers() -> Iterator[Result]:
    for row in strangers_files.table(FILES_PER_KIND):
        result = Result(f"files: {row.kind}", row.tried, row.refused, row.accepted)
        kinds = {"tracebacks": "traceback", "hangs": "hang", "executed": "executed", "changed": "changed"}
        _count(result, row, kinds)
        yield result


def _count(result: Result, row: object, kinds: dict[str, str]) -> None:
    for attribute, kind in kinds.items():
        for number in range(getattr(row, attribute)):
            result.fault(kind, f"{result.attack}, number {number + 1} of its kind; seen above")


def main() -> int:
    """Every attack, in a temporary folder; the home folder, the checkout and /etc are watched meanwhile."""
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="quantcheck-hostile-") as name:
        os.environ["TMPDIR"] = os.environ["QC_CACHE"] = name
        tempfile.tempdir = name
        outside = [Path.home(), ROOT, Path("/etc")]
        own = [Path(name), ROOT / "build", ROOT / ".git", ROOT / ".venv", Path.home() / ".cache"]
        with Watch(outside, allowed=own) as watch:
            for attack in (damaged_models, files_of_strangers, lambda: iter([lying_boards.attack()])):
                for result in attack():
                    results.append(result)
                    print(*table([result])[1:2], sep="\n", flush=True)
        changed = {path for path in watch.changes if "__pycache__" not in path}
    elsewhere = Result("files elsewhere")
    for path in sorted(changed):
        elsewhere.fault("changed", path)
    results.append(elsewhere)
    print(*table(results), sep="\n")
    return int(any(result.count for result in results))


if __name__ == "__main__":
    sys.exit(main())

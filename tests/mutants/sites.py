"""What a mutant is, and which ones make up the sample."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.mutants import c_code, python_code
from tests.mutants.edit import Edit, Mutant
from tests.mutants.handmade import PATCHES

ROOT = Path(__file__).parents[2]
SEED = 1
PYTHON_FILES = "pytest_quantcheck/numerics/*.py"
C_FILES = (
    "firmware/engine/kernels/*.[ch]",
    "firmware/engine/qc_broadcast.h",
    "firmware/engine/qc_fixed_point.h",
    "firmware/engine/qc_float32.h",
    "firmware/engine/qc_simd.h",
    "firmware/engine/qc_wide.h",
)


@dataclass(frozen=True)
class Population:
    """All mutants that the generators can make, by language."""

    python: tuple[Mutant, ...]
    c: tuple[Mutant, ...]


def population(root: Path = ROOT) -> Population:
    """Every generated mutant of the tree below ``root``."""
    python = [
        mutant
        for path in sorted(root.glob(PYTHON_FILES))
        for mutant in python_code.mutants(path.read_text(), path.relative_to(root).as_posix())
    ]
    c = [
        mutant
        for pattern in C_FILES
        for path in sorted(root.glob(pattern))
        for mutant in c_code.mutants(path.read_text(), path.relative_to(root).as_posix())
    ]
    return Population(_numbered(python), _numbered(c))


def _numbered(mutants: Iterable[Mutant]) -> tuple[Mutant, ...]:
    """Equal texts in one function are told apart by their order."""
    seen: Counter[str] = Counter()
    result = []
    for mutant in mutants:
        seen[mutant.key] += 1
        count = seen[mutant.key]
        result.append(mutant if count == 1 else replace(mutant, occurrence=count))
    return tuple(result)


def sample(mutants: Iterable[Mutant], count: int, seed: int = SEED) -> list[Mutant]:
    """``count`` mutants, chosen by a hash of seed and key.

    A change in one function leaves the choice among the others as it was, so that reasons written
    down for survivors last.
    """
    return sorted(mutants, key=lambda m: hashlib.sha256(f"{seed} {m.key}".encode()).digest())[:count]


def handmade(root: Path = ROOT) -> list[Mutant]:
    """The hand-made mutants. A patch whose text is not found exactly once raises ``ValueError``."""
    result = []
    for patch in PATCHES:
        text = (root / patch.file).read_text()
        if (count := text.count(patch.search)) != 1:
            raise ValueError(
                f"hand-made mutant {patch.name!r}: {patch.search!r} occurs {count} times in {patch.file}, "
                "must be once; adapt tests/mutants/handmade.py to the code"
            )
        start = text.index(patch.search)
        edit = Edit(start, start + len(patch.search), patch.replace)
        result.append(
            Mutant(patch.file, patch.name, patch.kind, patch.search, patch.replace, edit, handmade=True)
        )
    return result

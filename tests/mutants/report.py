"""What the results of a run amount to: complaints, one line, and docs/mutants.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tests.mutants.plugin import CRASH, ENDLESS, NUMBER
from tests.mutants.run import Result
from tests.mutants.sites import Population

ENOUGH = 0.98  # of the generated mutants, those that no test can catch included
_MOST = 3  # tests named per kind
_HOW = (NUMBER, CRASH, ENDLESS)

_HEAD = """# Mutants

Can the tests fail? `make mutants` makes one small mistake at a time in the arithmetic, in a copy of the
tree, and runs the ordinary tests on it until the first one fails. It fails when a hand-made mutant survives,
fewer than 98 % of the generated ones are caught, or a survivor has no reason why it is equivalent (it
computes the same, at most slower).

    make mutants                                             # everything below
    make mutants MUTANTS=--markdown                          # and write this page
    make mutants MUTANTS="--only qc_pad.c"                   # all mutants with this in their names
    make mutants MUTANTS="--seed 2 --generated --c 50"       # another sample
    make mutants MUTANTS="--resume build/mutants.jsonl"      # goes on where it was interrupted

**Generated** mutants change one operator, comparison, number, shift, cast, sign, condition or statement of
`pytest_quantcheck/numerics/` (from its syntax tree) or of the engine's kernels and arithmetic headers (from
their tokens). A sample is drawn from all of them by a hash of their text (seed {seed}), so that new code
leaves the choice among the old as it was; C mutants that do not compile, or that compile to the same object
code, are no mutants and are left out. **Hand-made** ones (`tests/mutants/handmade.py`) are mistakes that
people make. A C mutant faces the tests of the engine in both kernel variants first; one that gives the
right numbers faces sanitizers and damaged images, too; compiler warnings catch nothing here. Code that only
an Arm core runs is left to the tests on the virtual boards.

A mutant is caught by a *wrong number* (an assertion failed), by a *crash* (an exception, a signal, a
sanitizer) or because a test came to *no end*. This page is written by the command; the last run took {took}.
"""


def complaints(
    results: Sequence[Result],
    reasons: Mapping[str, str],
    population: Population,
    *,
    enough: float = ENOUGH,
) -> list[str]:
    """What makes the command fail, a line each."""
    survivors = {r.mutant.key for r in results if not r.failure}
    lines = [f"survived though hand-made: {r.mutant.key}" for r in _handmade(results) if not r.failure]
    generated = [r for r in results if not r.mutant.handmade]
    lines += [
        f"survived without a reason in tests/mutants/equivalents.py: {r.mutant.key}"
        for r in generated
        if not r.failure and r.mutant.key not in reasons
    ]
    known = {m.key for m in (*population.python, *population.c)}
    tried = {r.mutant.key for r in results}
    for key in reasons:
        if key not in known:
            lines.append(f"has a reason in tests/mutants/equivalents.py but is gone: {key}")
        elif key in tried and key not in survivors:
            lines.append(f"has a reason in tests/mutants/equivalents.py but is caught: {key}")
    if _caught(generated) < enough * len(generated):
        lines.append(f"{_share(generated)} of the generated mutants are caught; {enough:.0%} are needed")
    return lines


def summary(results: Sequence[Result]) -> str:
    """One line."""
    handmade, generated = _handmade(results), [r for r in results if not r.mutant.handmade]
    return (
        f"hand-made: {_caught(handmade)} of {len(handmade)} caught; "
        f"generated: {_caught(generated)} of {len(generated)} ({_share(generated)})"
    )


def page(
    results: Sequence[Result], reasons: Mapping[str, str], population: Population, seed: int, took: str
) -> str:
    """docs/mutants.md."""
    python = [r for r in results if not r.mutant.handmade and r.mutant.file.endswith(".py")]
    c = [r for r in results if not r.mutant.handmade and not r.mutant.file.endswith(".py")]
    parts = [
        _HEAD.format(seed=seed, took=took),
        _table(
            ("mutants", "possible", "tried", *_HOW, "caught"),
            [
                ("hand-made", "", *_counts(_handmade(results))),
                ("generated, numerics", len(population.python), *_counts(python)),
                ("generated, C kernels", len(population.c), *_counts(c)),
            ],
        ),
        "## Which test catches which mistake\n\nHand-made:\n",
        _kinds(_handmade(results)),
        "Generated, numerics:\n",
        _kinds(python),
        "Generated, C kernels:\n",
        _kinds(c),
        "## Hand-made mutants, one by one\n",
        _table(
            ("mistake", "where", "caught by"),
            [
                (
                    r.mutant.function,
                    f"`{_file(r)}`",
                    f"`{_test(r.failure.test)}`" if r.failure else "**nothing**",
                )
                for r in _handmade(results)
            ],
        ),
        "## Survivors\n",
        _survivors([r for r in results if not r.failure], reasons),
    ]
    return "\n".join(parts)


def _survivors(survivors: Sequence[Result], reasons: Mapping[str, str]) -> str:
    if not survivors:
        return "None.\n"
    rows = []
    for r in survivors:
        m = r.mutant
        change = f"`{_cell(m.original)}` → `{_cell(m.mutated)}`"
        rows.append((f"`{_file(r)}`, `{m.function}`", change, reasons.get(m.key, "**unexplained**")))
    return _table(("where", "mutant", "why no test can notice"), rows)


def _kinds(results: Sequence[Result]) -> str:
    rows = []
    for kind in dict.fromkeys(r.mutant.kind for r in results):
        group = [r for r in results if r.mutant.kind == kind]
        tests = Counter(_fact(r.failure.test) for r in group if r.failure)
        most = ", ".join(f"`{test}` ({count})" for test, count in tests.most_common(_MOST))
        more = len(tests) - _MOST
        tests_cell = most + (f" and {more} more" if more > 0 else "")
        rows.append((kind, len(group), *_hows(group), tests_cell))
    return _table(("kind", "tried", *_HOW, "first to fail"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def _handmade(results: Sequence[Result]) -> list[Result]:
    return [r for r in results if r.mutant.handmade]


def _caught(results: Sequence[Result]) -> int:
    return sum(r.failure is not None for r in results)


def _counts(results: Sequence[Result]) -> tuple[int | str, ...]:
    return len(results), *_hows(results), f"{_caught(results)} ({_share(results)})"


def _hows(results: Sequence[Result]) -> list[int]:
    counts = Counter(r.failure.how for r in results if r.failure)
    return [counts[how] for how in _HOW]


def _share(results: Sequence[Result]) -> str:
    return f"{_caught(results) / len(results):.1%}" if results else ""


def _file(result: Result) -> str:
    return result.mutant.file.rsplit("/", 1)[-1]


def _test(nodeid: str) -> str:
    return _cell(nodeid.rsplit("/", 1)[-1])


def _fact(nodeid: str) -> str:
    """A test without its parameters."""
    return _test(nodeid).split("[", 1)[0].split("::")[-1]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

"""What the results of a run amount to: complaints, one line, and docs/mutants.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tests.mutants.run import Result
from tests.mutants.sites import Population

ENOUGH = 0.98  # of the generated mutants
_MOST = 3  # tests named per kind

_HEAD = """# Mutants

Can the tests fail? `make mutants` makes one small mistake at a time in the arithmetic, in a copy of the
tree, and runs the ordinary tests on it until the first one fails. This page is written by that command.

**Generated** mutants change one operator, comparison, number, shift, cast, sign, condition or statement of
`pytest_quantcheck/numerics/` (from its syntax tree) or of the engine's kernels and arithmetic headers (from
their tokens). A sample is drawn from all of them by a hash (seed {seed}); C mutants that do not compile, or
that compile to the same object code, are no mutants and are left out. **Hand-made** ones
(`tests/mutants/handmade.py`) are mistakes that people make. A C mutant faces the differential tests in both
kernel variants first, then all of the engine's tests with sanitizers. Code that only an Arm core runs is left
to the tests on the virtual boards.
"""


def complaints(
    results: Sequence[Result], reasons: Mapping[str, str], population: Population, *, enough: float = ENOUGH
) -> list[str]:
    """What makes the command fail, a line each."""
    survivors = {r.mutant.key for r in results if not r.caught_by}
    lines = [f"survived though hand-made: {r.mutant.key}" for r in _handmade(results) if not r.caught_by]
    generated = [r for r in results if not r.mutant.handmade]
    lines += [
        f"survived without a reason in tests/mutants/equivalents.py: {r.mutant.key}"
        for r in generated
        if not r.caught_by and r.mutant.key not in reasons
    ]
    known = {m.key for m in (*population.python, *population.c)}
    tried = {r.mutant.key for r in results}
    for key in reasons:
        if key not in known:
            lines.append(f"has a reason in tests/mutants/equivalents.py but is gone: {key}")
        elif key in tried and key not in survivors:
            lines.append(f"has a reason in tests/mutants/equivalents.py but is caught: {key}")
    if generated and _caught(generated) < enough * len(generated):
        lines.append(f"{_share(generated)} of the generated mutants are caught; {enough:.0%} are needed")
    return lines


def summary(results: Sequence[Result]) -> str:
    """One line."""
    generated = [r for r in results if not r.mutant.handmade]
    return (
        f"hand-made: {_caught(_handmade(results))} of {len(_handmade(results))} caught; "
        f"generated: {_caught(generated)} of {len(generated)} ({_share(generated)})"
    )


def page(results: Sequence[Result], reasons: Mapping[str, str], population: Population, seed: int) -> str:
    """docs/mutants.md."""
    python = [r for r in results if not r.mutant.handmade and r.mutant.file.endswith(".py")]
    c = [r for r in results if not r.mutant.handmade and not r.mutant.file.endswith(".py")]
    parts = [
        _HEAD.format(seed=seed),
        _table(
            ("mutants", "possible", "tried", "caught", ""),
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
                    f"`{_test(r.caught_by)}`" if r.caught_by else "**nothing**",
                )
                for r in _handmade(results)
            ],
        ),
        "## Survivors\n",
        _survivors([r for r in results if not r.caught_by], reasons),
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
        tests = Counter(_fact(r.caught_by) for r in group if r.caught_by)
        most = ", ".join(f"`{test}` ({count})" for test, count in tests.most_common(_MOST))
        more = len(tests) - _MOST
        rows.append((kind, len(group), _caught(group), most + (f" and {more} more" if more > 0 else "")))
    return _table(("kind", "tried", "caught", "first to fail"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def _handmade(results: Sequence[Result]) -> list[Result]:
    return [r for r in results if r.mutant.handmade]


def _caught(results: Sequence[Result]) -> int:
    return sum(r.caught_by is not None for r in results)


def _counts(results: Sequence[Result]) -> tuple[int, int, str]:
    return len(results), _caught(results), _share(results)


def _share(results: Sequence[Result]) -> str:
    return f"{_caught(results) / len(results):.1%}" if results else ""


def _file(result: Result) -> str:
    return result.mutant.file.rsplit("/", 1)[-1]


def _test(nodeid: str | None) -> str:
    return _cell((nodeid or "").rsplit("/", 1)[-1])


def _fact(nodeid: str | None) -> str:
    """A test without its parameters."""
    return _test(nodeid).split("[", 1)[0].split("::")[-1]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

"""The mutation tool: it makes mistakes, real tests catch them, and what survives needs a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import c_code, python_code, report, sites
from tests.mutants.edit import Edit, Mutant
from tests.mutants.equivalents import REASONS
from tests.mutants.plugin import NUMBER
from tests.mutants.run import Failure, Result, Workshop

pytestmark = pytest.mark.host

C_SOURCE = """
#define QC_LIMIT 3 + 4 /* outside of a function */
#ifdef __ARM_FEATURE_DSP
static int arm(int a) { return a + 1; }
#endif
static const int8_t *next(const int8_t *p, int32_t sizes[4]) {
  /* p + 1 */
  return p < end ? (const int8_t *)p + 1 : p;
}
"""


def changes(mutants: list[Mutant]) -> set[tuple[str, str, str]]:
    return {(m.function, m.original, m.mutated) for m in mutants}


def test_c_is_mutated_where_the_tests_compile_it() -> None:
    mutants = list(c_code.mutants(C_SOURCE, "x.c"))
    assert {m.edit.apply(C_SOURCE)[m.edit.start : m.edit.start + 2] for m in mutants} >= {"<=", ">=", "- "}
    assert {m.function for m in mutants} == {"next"}
    assert sorted(m.kind for m in mutants) == [*["arithmetic"], *["comparison"] * 2, *["constant"] * 2]


def test_python_is_mutated_where_it_computes() -> None:
    source = '"""1 + 1"""\n\n\ndef f(x: "int" = 2) -> int:\n    assert x > 1\n    return max(x, -3) << 1\n'
    assert changes(list(python_code.mutants(source, "x.py"))) == {
        ("f", "2", "3"),
        ("f", "2", "1"),
        ("f", "max(x, -3) << 1", "max(x, -3) >> 1"),
        ("f", "max(x, -3) << 1", "max(x, -3) << 2"),
        ("f", "max(x, -3) << 1", "max(x, -3) << 0"),
        ("f", "max(x, -3)", "min(x, -3)"),
        ("f", "-3", "3"),
        ("f", "-3", "-4"),
        ("f", "-3", "-2"),
    }


def test_every_generated_mutant_has_a_name_of_its_own() -> None:
    population = sites.population()
    keys = [mutant.key for mutant in (*population.python, *population.c)]
    assert len(keys) == len(set(keys)) > 1000


def test_every_hand_made_mutant_fits_the_code() -> None:
    mutants = sites.handmade()
    assert len({m.key for m in mutants}) == len(mutants) >= 30


def test_every_reason_is_for_a_mutant_that_there_is() -> None:
    population = sites.population()
    assert set(REASONS) <= {mutant.key for mutant in (*population.python, *population.c)}


def test_the_sample_is_the_same_when_other_mutants_come_and_go() -> None:
    mutants = sites.population().python
    assert set(sites.sample(mutants[::2], 20)) <= set(sites.sample(mutants, len(mutants)))
    assert sites.sample(mutants, 20) == sites.sample(reversed(mutants), 20)
    assert sites.sample(mutants, 20) != sites.sample(mutants, 20, seed=2)


def test_real_tests_catch_a_mistake_and_pass_a_comment(tmp_path: Path) -> None:
    wanted = ("the kernels round once", "dequantize adds the zero point")
    mistakes = [mutant for mutant in sites.handmade() if mutant.function in wanted]
    workshop = Workshop(sites.ROOT, tmp_path, jobs=2)
    results = {result.mutant.function: result for result in workshop.run(mistakes)}
    in_c, in_python = (results[name].failure for name in wanted)
    assert in_c.test.startswith("tests/firmware/engine/")
    assert in_python.test.startswith("tests/host/numerics/")
    assert in_c.how == in_python.how == NUMBER


def test_a_change_that_changes_nothing_is_no_mutant(tmp_path: Path) -> None:
    workshop = Workshop(sites.ROOT, tmp_path, jobs=1)
    file = "firmware/engine/kernels/qc_pad.c"
    comment = Mutant(file, "f", "comment", "", "", Edit(0, 0, "/* */"))
    nonsense = Mutant(file, "f", "nonsense", "", "", Edit(0, 0, "nonsense"))
    mistake = next(m for m in sites.handmade() if m.file == file)
    assert list(workshop.viable([comment, nonsense, mistake], 1)) == [mistake]


def result(key: str, caught_by: str | None, *, handmade: bool = False) -> Result:
    mutant = Mutant("f.py", key, "kind", "a", "b", Edit(0, 0, ""), handmade=handmade)
    return Result(mutant, Failure(caught_by, NUMBER) if caught_by else None)


def complaints(results: list[Result], reasons: dict[str, str]) -> list[str]:
    population = sites.Population(tuple(r.mutant for r in results if not r.mutant.handmade), ())
    return report.complaints(results, reasons, population, enough=0.5)


def test_survivors_need_reasons_and_reasons_survivors() -> None:
    caught, survivor = result("caught", "test_x"), result("survivor", None)
    assert complaints([caught, survivor], {survivor.mutant.key: "why"}) == []
    assert "without a reason" in complaints([caught, survivor], {})[0]
    assert "is caught" in complaints([caught], {caught.mutant.key: "why"})[0]
    assert "is gone" in complaints([caught], {survivor.mutant.key: "why"})[0]
    assert "are needed" in complaints([survivor], {survivor.mutant.key: "why"})[0]
    by_hand = result("by hand", None, handmade=True)
    assert "hand-made" in complaints([by_hand], {})[0]

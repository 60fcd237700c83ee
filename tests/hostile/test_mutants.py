"""Damaged models through the commands: a clear answer to each, within bounds, and no wrong pass."""

from __future__ import annotations

import pytest

from tests.hostile.mutants import attack
from tests.hostile.mutations import mutant
from tests.hostile.sources import sources
from tests.hostile.victim import BYTES, LATE, SECONDS, Answer

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

FEW = 300


def test_damaged_models_are_answered_clearly_and_never_pass_wrongly() -> None:
    rows = attack(FEW, sources(networks=6, onnx=("residual", "two-inputs")))
    assert not [row.faults for row in rows if row.count]
    assert sum(row.tried for row in rows) == FEW
    assert sum(row.refused for row in rows) > FEW // 4
    assert sum(row.ran for row in rows) > FEW // 10


def test_a_mutant_is_the_same_whenever_it_is_made() -> None:
    data = sources(layers_each=0, networks=1, onnx=())["network 0"]
    made = [mutant(data, seed) for seed in range(40)]
    assert made == [mutant(data, seed) for seed in range(40)]
    assert len(set(made)) > 30
    assert data not in made


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer("check", 2, "IndexError: ... (this is a bug: run with ...)"), "crashed"),
        (Answer("check", None, "died with exit code -11"), "crashed"),
        (Answer("check", None, LATE), "hung"),
        (Answer("check", 0, "", seconds=SECONDS + 1), "hung"),
        (Answer("check", 0, "", peak=BYTES + 1), "hung"),
        (Answer("compare tflm", 1, "1 of 3 outputs differ"), "wrong_pass"),
        (Answer("compare tflm", 1, "a: ...\nnote: operator 1 (RELU6): ..."), ""),
        (Answer("compare litert", 1, "1 of 3 outputs differ"), ""),
        (Answer("compare tflm", 2, "quantcheck compare: refused"), ""),
    ],
)
def test_what_counts_as_a_fault(answer: Answer, kind: str) -> None:
    kinds = ("crashed", "hung", "wrong_pass")
    assert [each for each in kinds if getattr(answer, each)] == ([kind] if kind else [])

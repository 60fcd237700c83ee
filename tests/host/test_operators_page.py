"""The table of operators in the docs says what the code does."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.graph.from_onnx.rules import SUPPORTED as ONNX
from pytest_quantcheck.graph.from_tflite.rules import SUPPORTED
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.litert import LitertReferenceRunner
from pytest_quantcheck.strategies import ModelCase, layer_dtypes
from tests.operators_page import FACTS, PAGE, REPLACED, examples, split, table

pytestmark = pytest.mark.host


def test_the_table_is_what_the_code_says() -> None:
    _, written, _ = split(PAGE.read_text(encoding="utf-8"))
    assert written == table(), "python -m tests.operators_page writes it anew"


def test_facts_are_about_operators_that_are_read() -> None:
    assert tuple(FACTS) == SUPPORTED
    assert {name for facts in FACTS.values() for name in facts.onnx} <= {*ONNX, *REPLACED}


def same(case: ModelCase, number: int) -> bool:
    """Whether LiteRT's reference kernels give the interpreter's integers."""
    model, vectors = QuantizedModel("drawn", case.artefact), Raw(tuple(case.raw_inputs(3, number)))
    ours = IntegerRunner().run(model, vectors).outputs
    try:
        theirs = LitertReferenceRunner().run(model, vectors).outputs
    except ModelError:
        return False
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("kind", [kind for kind, facts in FACTS.items() if not facts.litert])
def test_litert_gives_the_same_integers_where_the_table_says_so(kind: str) -> None:
    """Where it says otherwise, tests/host/runners/test_litert.py pins the difference."""
    drawn = [case for dtype in layer_dtypes(kind) for case in examples(kind, dtype, 8)]
    assert all(same(case, number) for number, case in enumerate(drawn))

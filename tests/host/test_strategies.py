"""What a drawn model prints is Python that builds the same file, and what fails is small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_quantcheck import strategies
from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.numerics import fixed_point
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner

pytestmark = pytest.mark.host


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.layers() | strategies.small_models())
def test_the_source_of_a_model_builds_it_again(case: strategies.ModelCase) -> None:
    scope: dict[str, Any] = {}
    exec(case.source, scope)
    assert scope["case"].kinds == case.kinds
    assert scope["case"].artefact == case.artefact


def outputs(case: strategies.ModelCase, seed: int) -> list[Any]:
    run = IntegerRunner().run(QuantizedModel("drawn", case.artefact), Raw(case.raw_inputs(4, seed)))
    return [x.tolist() for x in run.outputs]


def test_a_wrong_kernel_fails_with_a_few_lines_that_run_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The right shift behind a multiplication forgets to round."""

    def forget_to_round(x: Any, exponent: Any) -> Any:
        return np.asarray(x) >> np.asarray(exponent)

    def judge(case: strategies.ModelCase, seed: int) -> None:
        right = outputs(case, seed)
        with monkeypatch.context() as wrong:
            wrong.setattr(fixed_point, "rounding_divide_by_pot", forget_to_round)
            if outputs(case, seed) != right:
                raise AssertionError("other integers")

    @settings(
        deadline=None,
        database=None,
        derandomize=True,
        max_examples=100,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategies.layers("MUL", "int8"), seed=st.integers(0, 1000))
    def holds(case: strategies.ModelCase, seed: int) -> None:
        judge(case, seed)

    with pytest.raises(AssertionError) as failure:
        holds()
    printed = "\n".join(failure.value.__notes__)
    lines = printed[printed.index("from pytest_quantcheck") : printed.index("case = ModelCase")].splitlines()
    assert len(lines) < 12
    assert "case=ModelCase(MUL on [(1, " in printed
    scope: dict[str, Any] = {}
    exec(printed[printed.index("from pytest_quantcheck") :].split("\n\nF")[0], scope)
    with pytest.raises(AssertionError):
        judge(scope["case"], int(printed.split("seed=")[1].split(",")[0]))

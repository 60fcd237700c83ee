"""The interpreter computes TFLM's integers: every operator, every output, on drawn models."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_quantcheck import strategies
from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.quantizers.model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.tflm import TflmRunner

pytestmark = pytest.mark.host

SEEDS = st.integers(0, 2**32 - 1)


def assert_same_integers(case: strategies.ModelCase, seed: int) -> None:
    model = QuantizedModel("drawn", case.artefact)
    vectors = Raw(case.raw_inputs(5, seed))
    oracle = TflmRunner().run(model, vectors, operators=True)
    ours = IntegerRunner().run(model, vectors, operators=True)
    assert ours.operators == oracle.operators
    for mine, theirs in zip(ours.outputs, oracle.outputs, strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("kind", strategies.LAYER_KINDS)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), seed=SEEDS)
def test_an_operator_gives_the_integers_of_tflm(kind: str, data: st.DataObject, seed: int) -> None:
    assert_same_integers(data.draw(strategies.layers(kind)), seed)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=strategies.small_models(), seed=SEEDS)
def test_a_network_gives_the_integers_of_tflm_at_every_operator(
    case: strategies.ModelCase, seed: int
) -> None:
    assert_same_integers(case, seed)

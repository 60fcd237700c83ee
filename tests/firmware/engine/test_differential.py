"""The interpreter, TFLM and the C engine in both variants compute the same integers: every operator, and
every operator of networks, on drawn models. LiteRT's reference kernels speak for what TFLM does not have."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_quantcheck import strategies
from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.graph.from_tflite.rules import NOT_IN_TFLM
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.litert import LitertReferenceRunner
from pytest_quantcheck.runners.tflm import TflmRunner
from pytest_quantcheck.strategies import DTYPES

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

SAMPLES = 4  # the first two hold one value throughout; what one leaves behind, the next one sees
SEEDS = st.integers(0, 2**32 - 1)


def assert_same_integers(engines: list[Engine], case: strategies.ModelCase, seed: int) -> None:
    model = QuantizedModel("drawn", case.artefact)
    vectors = Raw(case.raw_inputs(SAMPLES, seed))
    kernels = TflmRunner if NOT_IN_TFLM.isdisjoint(case.kinds) else LitertReferenceRunner
    oracle = kernels().run(model, vectors, operators=True)
    ours = IntegerRunner().run(model, vectors, operators=True)
    known = {record.index for record in oracle.operators[0]}
    assert [[r for r in sample if r.index in known] for sample in ours.operators] == [
        list(sample) for sample in oracle.operators
    ]
    for mine, theirs in zip(ours.outputs, oracle.outputs, strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.tobytes() == theirs.tobytes()
    image = compile_image(model.graph).data
    shaped = prepare.model_inputs(model, oracle.inputs)
    for sample in range(SAMPLES):
        expected = [(record.index, record.crc32) for record in oracle.operators[sample]]
        output = b"".join(np.ascontiguousarray(x[sample]).tobytes() for x in oracle.outputs)
        for engine in engines:
            answer = engine.run_graph(model.graph, image, [x[sample] for x in shaped])
            seen = [(index, zlib.crc32(data)) for index, data in answer.operators if index in known]
            assert seen == expected
            assert answer.outputs == output


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [(kind, dtype) for kind in strategies.LAYER_KINDS for dtype in strategies.layer_dtypes(kind)],
)
def test_an_operator_gives_the_same_integers_everywhere(engines: list[Engine], kind: str, dtype: str) -> None:
    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=strategies.layers(kind, dtype), seed=SEEDS)
    def holds(case: strategies.ModelCase, seed: int) -> None:
        assert_same_integers(engines, case, seed)

    holds()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_network_gives_the_same_integers_at_every_operator(engines: list[Engine], dtype: str) -> None:
    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=strategies.small_models(dtype), seed=SEEDS)
    def holds(case: strategies.ModelCase, seed: int) -> None:
        assert_same_integers(engines, case, seed)

    holds()

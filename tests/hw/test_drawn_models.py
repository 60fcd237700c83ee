"""Models drawn from the strategies on the virtual boards: TFLM's integers, operator by operator.

One model of every kind of operator, and a few networks: the engine on the host has thousands of them
(``tests/firmware/engine/test_differential.py``), here the chips' own compilers and cores have their say.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pytest_quantcheck import strategies
from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.graph.from_tflite.rules import NOT_IN_TFLM
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.session import BoardSession
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.litert import LitertReferenceRunner
from pytest_quantcheck.runners.run import OperatorRecord
from pytest_quantcheck.runners.tflm import TflmRunner

pytestmark = pytest.mark.hw

BOARDS = ("virtual-stm32f405", "virtual-esp32c3")
LAYERS = [(kind, dtype) for kind in strategies.LAYER_KINDS for dtype in strategies.layer_dtypes(kind)]
SAMPLES = 3  # the first two hold one value throughout
NETWORKS = 6


@pytest.fixture(scope="module", params=BOARDS)
def runner(request, entries, tmp_path_factory):
    """A runner on one board for all models."""
    with BoardSession(
        [entries[request.param]], log_dir=tmp_path_factory.mktemp("logs"), ledger=FaultLedger(retries=0)
    ) as session:
        yield BoardRunner(session)


def drawn(strategy: st.SearchStrategy[strategies.ModelCase], count: int) -> list[strategies.ModelCase]:
    """The same models every time."""
    cases: list[strategies.ModelCase] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def draw(case: strategies.ModelCase) -> None:
        cases.append(case)

    draw()
    return cases


def assert_equal_to_tflm(runner: BoardRunner, case: strategies.ModelCase) -> None:
    """Or to LiteRT's reference kernels, where TFLM has none."""
    model = QuantizedModel(" ".join(case.kinds), case.artefact)
    vectors = Raw(case.raw_inputs(SAMPLES))
    kernels = TflmRunner() if NOT_IN_TFLM.isdisjoint(case.kinds) else LitertReferenceRunner()
    run, oracle = (each.run(model, vectors, operators=True) for each in (runner, kernels))
    known = {r.index for r in oracle.operators[0]}  # ours have steps on the way, too
    lost = {op.index for op in run.graph.operators if run.graph.output_of(op).kept is not None}

    def told(records: Sequence[OperatorRecord]) -> list[tuple[int, str, int | None]]:
        return [(r.index, r.kind, r.crc32 if r.index not in lost else None) for r in records]

    seen = [told([r for r in sample if r.index in known]) for sample in run.operators]
    assert seen == [told(sample) for sample in oracle.operators], case
    for ours, theirs in zip(run.outputs, oracle.outputs, strict=True):
        assert (ours.dtype, ours.tobytes()) == (theirs.dtype, theirs.tobytes()), case


def test_every_kind_of_operator_equals_tflm(runner):
    for kind, dtype in LAYERS:
        *_, case = drawn(strategies.layers(kind, dtype), 2)  # the first one is the plainest
        assert_equal_to_tflm(runner, case)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_networks_equal_tflm_at_every_operator(runner, dtype):
    for case in drawn(strategies.small_models(dtype), NETWORKS):
        assert_equal_to_tflm(runner, case)

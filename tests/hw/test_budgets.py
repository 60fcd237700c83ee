"""The four network shapes on the virtual boards: TFLM's integers, within a budget of instructions."""

from __future__ import annotations

import numpy as np
import pytest

from conformance_models.shapes import SHAPES, model
from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.session import BoardSession
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.tflm import TflmRunner

pytestmark = pytest.mark.hw

INPUTS = 5

# Instructions per multiply-accumulate, the whole network: what was measured, rounded up by at most 2 %.
BUDGETS = {
    "virtual-stm32f405": {"resnet8": 1.25, "ds-cnn": 1.63, "mobilenet": 1.79, "autoencoder": 1.45},
    "virtual-esp32c3": {"resnet8": 3.11, "ds-cnn": 3.71, "mobilenet": 3.77, "autoencoder": 3.76},
}


@pytest.fixture(scope="module", params=BUDGETS)
def runner(request, entries, tmp_path_factory):
    """A runner on one board for all shapes."""
    with BoardSession(
        [entries[request.param]], log_dir=tmp_path_factory.mktemp("logs"), ledger=FaultLedger(retries=0)
    ) as session:
        yield BoardRunner(session)


def vectors(shape, count: int) -> Raw:
    size = shape.graph.tensors[shape.graph.inputs[0]].shape[1:]
    return Raw(np.random.default_rng(1).integers(-128, 128, (count, *size)).astype(np.int8))


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_equals_tflm_within_its_budget_and_counts_the_same_every_time(runner, name):
    shape = model(name)
    run, again = (runner.run(shape, vectors(shape, count)) for count in (INPUTS, 1))
    expected = TflmRunner().run(shape, vectors(shape, INPUTS)).outputs[0]
    assert run.outputs[0].dtype == expected.dtype
    assert run.outputs[0].tobytes() == expected.tobytes()
    assert run.unit == "instructions"
    assert run.counters[:1] == again.counters
    assert max(run.counters) / shape.manifest["macs"] <= BUDGETS[runner.target][name]

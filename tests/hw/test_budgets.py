"""Network shapes and single layers on virtual boards: TFLM's integers within a budget of instructions."""

from __future__ import annotations

import numpy as np
import pytest

from conformance_models.shapes import SHAPES, model
from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.image import layout
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.read import read_image
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
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

# The same of one layer by the packing of its weights.
LAYER_BUDGETS = {
    "virtual-stm32f405": {
        ("CONV_2D", "paired4x4"): 1.09,
        ("CONV_2D", "block4x4"): 1.15,
        ("FULLY_CONNECTED", "paired4x4"): 1.05,
        ("FULLY_CONNECTED", "block4x4"): 1.12,
    },
    "virtual-esp32c3": {
        ("CONV_2D", "paired4x4"): 2.87,
        ("CONV_2D", "block4x4"): 2.86,
        ("FULLY_CONNECTED", "paired4x4"): 2.92,
        ("FULLY_CONNECTED", "block4x4"): 2.91,
    },
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


def layer(kind: str, packing: str) -> tuple[QuantizedModel, int]:
    """One layer with 10 x 10 pixels or 10 batches, and its multiply-accumulates.
    One pair of weights decides about its packing."""
    writer = TfliteWriter()
    shape = (1, 10, 10, 32) if kind == "CONV_2D" else (1, 10, 288)
    weights = np.random.default_rng(0).integers(-127, 128, (32, 288)).astype(np.int8)
    if packing == "block4x4":
        weights[:2, 0] = -3, -128
    x = writer.tensor(shape, "int8", scale=0.1)
    if kind == "CONV_2D":
        y = writer.conv_2d(x, weights.reshape(32, 3, 3, 32), None, weight_scale=0.01, scale=1.0)
    else:
        y = writer.fully_connected(x, weights, None, weight_scale=0.01, scale=1.0)
    macs = weights.size * (100 if kind == "CONV_2D" else 10)
    return QuantizedModel(packing, writer.finish([x], [y])), macs


@pytest.mark.parametrize("kind", ["CONV_2D", "FULLY_CONNECTED"])
@pytest.mark.parametrize("packing", ["paired4x4", "block4x4"])
def test_a_layer_equals_tflm_within_the_budget_of_its_packing(runner, kind, packing):
    model, macs = layer(kind, packing)
    (operator,) = read_image(compile_image(model.graph).data).operators
    assert layout.PACKINGS[layout.CONVOLUTION.unpack(operator.params)[14]] == packing
    inputs = vectors(model, 1)
    run = runner.run(model, inputs)
    assert run.outputs[0].tobytes() == TflmRunner().run(model, inputs).outputs[0].tobytes()
    assert max(run.counters) / macs <= LAYER_BUDGETS[runner.target][kind, packing]

"""A model with dead channels on a board: they are not computed; a fault is found in the source's terms."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.graph.macs import graph_macs
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.patch import patch_weight
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.board import BoardRunner, board_artefact
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.tflm import TflmRunner
from pytest_quantcheck.verdict.locate import locate
from tests.dead_channels import network

pytestmark = pytest.mark.hw

BOARDS = ("virtual-stm32f405", "virtual-esp32c3")


@pytest.fixture(scope="module")
def model() -> QuantizedModel:
    """1x1, depthwise, 1x1; the channels 0, 2, 4, ... of the first have neither weights nor a bias."""
    random, writer = np.random.default_rng(0), TfliteWriter()
    image = writer.tensor((1, 8, 8, 4), scale=0.02, zero_point=1)
    first = random.integers(-127, 128, (16, 1, 1, 4)).astype(np.int8)
    first[::2] = 0
    x = writer.conv_2d(image, first, None, weight_scale=0.004, scale=0.02, zero_point=-3)
    planes = random.integers(-127, 128, (1, 3, 3, 16)).astype(np.int8)
    x = writer.conv_2d(x, planes, None, weight_scale=0.004, scale=0.02, zero_point=2, depthwise=True)
    last = random.integers(-127, 128, (4, 1, 1, 16)).astype(np.int8)
    x = writer.conv_2d(x, last, None, weight_scale=0.004, scale=0.02)
    return QuantizedModel("dead", writer.finish([image], [x]))


def vectors(model: QuantizedModel) -> Raw:
    shape = model.graph.tensors[model.graph.inputs[0]].shape[1:]
    return Raw(np.random.default_rng(1).integers(-128, 128, (4, *shape)).astype(np.int8))


@pytest.mark.parametrize("name", BOARDS)
def test_outputs_are_tflms_and_the_work_is_less(new_session, model, name):
    board = BoardRunner(new_session(name))
    whole = BoardRunner(
        new_session(name), makers={"qcm": lambda model: board_artefact(compile_image(model.graph))}
    )
    run, all_of_it = board.run(model, vectors(model)), whole.run(model, vectors(model))
    right = TflmRunner().run(model, vectors(model))
    np.testing.assert_array_equal(run.outputs[0], right.outputs[0])
    np.testing.assert_array_equal(all_of_it.outputs[0], right.outputs[0])
    assert 2 * graph_macs(model.folded) == graph_macs(model.graph)
    assert max(run.counters) < 0.7 * min(all_of_it.counters)


def test_drawn_networks_give_tflms_outputs(new_session):
    board = BoardRunner(new_session("posix"))
    for seed in range(20):
        drawn = QuantizedModel(f"drawn-{seed}", network(seed))
        found, right = (each.run(drawn, vectors(drawn)) for each in (board, TflmRunner()))
        np.testing.assert_array_equal(found.outputs[0], right.outputs[0])


def test_records_are_those_of_the_folded_graph(new_session, model):
    run = BoardRunner(new_session("posix")).run(model, vectors(model), operators=True)
    assert run.graph is model.folded
    right = IntegerRunner().run(model, vectors(model), operators=True)
    assert [each.index for each in run.operators[0]] == [each.index for each in right.operators[0]]
    same = [a.crc32 == b.crc32 for a, b in zip(run.operators[0], right.operators[0], strict=True)]
    assert same == [False, False, True]


@pytest.mark.parametrize("reference", [IntegerRunner(), TflmRunner()])
def test_a_changed_weight_is_found_in_the_channel_of_the_source(new_session, model, reference):
    def broken(model: QuantizedModel):
        patch = lambda data: patch_weight(data, 1, output=3, k=4, delta=100)  # noqa: E731
        return board_artefact(compile_image(model.folded), patch)

    board = BoardRunner(new_session("posix"), makers={"qcm": broken})
    run, right = board.run(model, vectors(model)), reference.run(model, vectors(model))
    found = locate(run, right, board, reference_runner=reference)
    assert found is not None
    assert (found.operator, found.size) == (1, 8 * 8 * 16)
    assert model.folded.output_of(model.folded.operators[1]).kept == tuple(range(1, 16, 2))
    assert "channel 7" in found.pattern, str(found)

"""The models of the source systems end on a board: its integers are the host's, and so is what they score."""

from __future__ import annotations

import pytest

from conformance_models import audio_events, persons
from pytest_quantcheck.data.dataset import Dataset
from pytest_quantcheck.data.tasks.detection import detector
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.verdict.gate import Gate

pytestmark = pytest.mark.hw


@pytest.fixture(scope="module")
def watcher():
    """Quantized persons, and five scenes."""
    data = Dataset(persons.samples(range(8)), persons.samples(range(5000, 5005)), detector(persons.HEAD))
    return quantize(
        load(persons.float_model()), QuantConfig(input_type="uint8", output_type="float32"), data
    ), data


@pytest.fixture(scope="module")
def listener():
    """Quantized audio events, and two clips of every class."""
    data = Dataset(audio_events.samples(range(1)), audio_events.samples(range(500, 501)), "audio_events")
    return quantize(load(audio_events.float_model()), QuantConfig(output_type="uint8"), data), data


@pytest.mark.parametrize("board", ["virtual-stm32f405", "virtual-esp32c3"])
@pytest.mark.parametrize("name", ["watcher", "listener"])
def test_the_board_scores_what_the_host_scores(name, board, request, new_session):
    model, data = request.getfixturevalue(name)
    host = exact_runner().run(model, data.test)
    run = BoardRunner(new_session(board)).run(model, data.test)
    assert all((mine == theirs).all() for mine, theirs in zip(run.outputs, host.outputs, strict=True))
    scores = [Gate(data=data).check(each, allow_unjudged=True).scores[0] for each in (run, host)]
    assert scores[0].value == scores[1].value > 0.5

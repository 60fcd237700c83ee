"""Recurrent networks and streams on every board: states stay there, and all steps are TFLM's."""

from __future__ import annotations

import numpy as np
import pytest

from conformance_models import activity
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.rig.link.device_error import DeviceError
from pytest_quantcheck.rig.messages.numbers import Status
from pytest_quantcheck.runners.board import BoardRunner, board_artefact
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.tflm import TflmRunner
from pytest_quantcheck.verdict.gate import Gate
from tests.streaming import keyword_spotter, speech

pytestmark = pytest.mark.hw

BOARDS = pytest.mark.parametrize("board", ["virtual-stm32f405", "virtual-esp32c3"])


@BOARDS
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_a_streaming_keyword_spotter_is_tflms_in_every_step(new_session, board, dtype):
    model, samples = keyword_spotter(dtype), speech(3, 8)
    runner = BoardRunner(new_session(board))
    run = runner.run(model, samples, operators=True)
    tflm = TflmRunner().run(model, samples, operators=True)
    assert run.outputs[0].shape == (3, 8, 4)
    assert np.array_equal(run.outputs[0], tflm.outputs[0])
    seen, right = (
        [[(r.index, r.step, r.crc32) for r in each] for each in one.operators] for one in (run, tflm)
    )
    assert seen == right
    assert len(run.counters) == 24
    assert [sum(r.counter for r in each) for each in run.inferences] == pytest.approx(run.counters, rel=0.02)
    verdict = Gate(reference=TflmRunner(), device=runner, data=Dataset(samples, samples)).check(
        run, exact=True
    )
    assert verdict.passed


@BOARDS
@pytest.mark.parametrize(("scheme", "operators"), [("int8", 4), ("int16x8", 907)])
def test_an_lstm_for_activity_windows_is_tflms(new_session, board, scheme, operators):
    """One operator in int8; in int16 all its steps, from flash."""
    keras = pytest.importorskip("keras", reason="Keras is not installed: extra tensorflow")
    keras.utils.set_random_seed(1)
    layers = keras.layers
    network = keras.Sequential(
        [keras.Input((activity.LENGTH, 3)), layers.LSTM(16), layers.Dense(5, activation="softmax")]
    )
    data = activity.dataset()
    test = data.test.take(range(0, len(data.test), 97))
    model = quantize(load(network), QuantConfig(scheme=scheme), data)
    assert len(model.graph.operators) == operators
    run = BoardRunner(new_session(board)).run(model, test)
    assert np.array_equal(run.outputs[0], TflmRunner().run(model, test).outputs[0])
    assert len({each.tobytes() for each in run.outputs[0]}) > 5


@pytest.fixture(scope="module")
def spotter():
    return keyword_spotter(), speech(2, 6)


def test_a_tensor_in_the_middle_of_a_sequence_can_be_fetched(new_session, spotter):
    model, samples = spotter
    runner = BoardRunner(new_session())
    raw = runner.run(model, samples).inputs[0]
    for operator in model.graph.operators:
        tensor = runner.tensor(model, [raw[1, :4]], operator.index)
        assert np.array_equal(tensor, IntegerRunner().tensor(model, [raw[1, :4]], operator.index))


def test_samples_without_steps_begin_anew_each(new_session, spotter):
    model, samples = spotter
    single = Samples(samples.x[0])
    run = BoardRunner(new_session()).run(model, single)
    assert np.array_equal(run.outputs[0], IntegerRunner().run(model, single).outputs[0])


def test_a_line_that_loses_bytes_takes_no_step_twice(new_session, spotter):
    model, _ = spotter
    session = new_session()
    session.start()
    session.board.misbehave("flip", rate=3e-4, seed=1)
    session.board.misbehave("drop", rate=3e-4, seed=2)
    session.connection.restart()
    run = BoardRunner(session).run(model, speech(12, 8))
    assert np.array_equal(run.outputs[0], IntegerRunner().run(model, speech(12, 8)).outputs[0])
    assert run.effort.link["resent"] > 0


def test_a_repeated_step_begins_with_the_states_that_it_had(new_session, spotter):
    """What the host does where bytes disturb a run."""
    model, _ = spotter
    session = new_session()
    artefact = board_artefact(compile_image(model.graph))
    session.load(artefact)
    device, frames = session.device, [[bytes([40 * step] * 10)] for step in range(3)]
    right = [each.outputs for each in session.infer(artefact, frames, steps=3)]
    assert device.infer(frames[0]).outputs == right[0]
    assert device.infer(frames[1], carry=True).outputs == right[1]
    for _ in range(2):
        answer, _ = device._undisturbed([16 | 4], b"\0\4" + bytes(4) + frames[1][0])
        assert answer.data == right[1][0]
    assert device.infer(frames[2], carry=True).outputs == right[2]
    device.infer(frames[0], stop_after=model.graph.operators[2].index)
    with pytest.raises(DeviceError) as caught:
        device.infer(frames[1], carry=True)
    assert caught.value.status == Status.STATE


def test_a_sequence_in_which_the_board_dies_is_run_again_from_its_start(new_session, spotter):
    model, samples = spotter
    session = new_session(retries=2)
    session.start()
    whole, infer = [], session._infer

    def dying(inputs, operators, *, carry):
        whole.append(carry)
        if len(whole) == 9:  # in the second of two sequences
            session.board.misbehave("crash")
        return infer(inputs, operators, carry=carry)

    session._infer = dying
    run = BoardRunner(session).run(model, samples)
    assert np.array_equal(run.outputs[0], IntegerRunner().run(model, samples).outputs[0])
    assert whole == [*(step > 0 for step in range(6)), False, True, True, *(step > 0 for step in range(6))]


def test_a_runtime_without_states_is_told(new_session, spotter, monkeypatch):
    session = new_session()
    hello = session.start()
    object.__setattr__(hello, "capabilities", hello.capabilities & ~16)
    monkeypatch.setattr(session, "start", lambda *_: hello)
    with pytest.raises(UsageError, match=r"keeps something from one inference .*QC_CAP_STATES"):
        BoardRunner(session).run(*spotter)

"""Every family's board answers MLPerf Tiny's runner with the model that is on it."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.boards import board_runner
from pytest_quantcheck.runners.integer import IntegerRunner
from tests.bridge import Bridge
from tests.mlperf_runner import MlperfRunner

pytestmark = pytest.mark.hw

FAMILIES = ("posix", "virtual-stm32f405", "virtual-esp32c3")


def classifier(inputs: int, outputs: int, dtype: str = "int8") -> QuantizedModel:
    """One dense layer and a softmax, with the sizes of a benchmark's model."""
    luck = np.random.default_rng(inputs)
    writer = TfliteWriter()
    x = writer.tensor((1, inputs), dtype, scale=1 / 255, zero_point=-128 if dtype == "int8" else 0)
    weights = luck.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    y = writer.fully_connected(x, weights, None, weight_scale=0.002, scale=0.05, zero_point=3)
    return QuantizedModel(f"dense{inputs}", writer.finish([x], [writer.softmax(y)]))


def autoencoder() -> QuantizedModel:
    """640 floats, through int8 and back: its error is that of rounding."""
    writer = TfliteWriter()
    x = writer.tensor((1, 640), "float32")
    q = writer.quantize(x, scale=0.1, zero_point=0)
    return QuantizedModel("ad", writer.finish([x], [writer.dequantize(q)]))


def text_port(session):
    """The board's port after a host of ours is done with it."""
    session.connection.disconnect()
    return session.board.open_port()


def loaded(new_session, name, model, vectors, **how):
    """A session whose board holds ``model`` and has just run it."""
    session = new_session(name, **how)
    BoardRunner(session).run(model, vectors)
    return session


def scores(model, vectors):
    raw = IntegerRunner().run(model, vectors).outputs[0].reshape(len(vectors.inputs[0]), -1)
    return [[float(f"{(int(q) + 128) / 256:.3f}") for q in row] for row in raw]


@pytest.mark.parametrize("name", FAMILIES)
def test_keyword_scores_of_every_board_are_those_of_the_interpreter(new_session, name):
    model = classifier(490, 12)
    x = np.random.default_rng(3).integers(-128, 128, (3, 490)).astype(np.int8)
    vectors = Raw(x)
    session = loaded(new_session, name, model, vectors)
    counted = BoardRunner(session).run(model, vectors)
    port = text_port(session)
    runner = MlperfRunner(port)
    assert runner.command("profile")[1] == "m-model-[kws01]"
    port.close()
    runner = MlperfRunner(session.board.open_port())  # the benchmark's runner opens it twice
    for row, wanted, counter in zip(x, scores(model, vectors), counted.counters, strict=True):
        runner.download(row.tobytes())
        results, microseconds = runner.infer(4)
        assert results == wanted
        if counted.unit == "instructions":
            assert microseconds == 4 * counter  # without a clock a count is a microsecond
        else:
            assert microseconds > 0


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_pictures_travel_as_uint8_whatever_the_model_takes(new_session, dtype):
    model = classifier(3072, 10, "int8") if dtype == "int8" else None
    if model is None:
        writer = TfliteWriter()
        x = writer.tensor((1, 3072), "uint8", scale=1 / 255)
        q = writer.quantize(x, scale=1 / 255, zero_point=-128)
        weights = np.random.default_rng(5).integers(-127, 128, (10, 3072)).astype(np.int8)
        y = writer.fully_connected(q, weights, None, weight_scale=0.002, scale=0.05)
        model = QuantizedModel("ic-u8", writer.finish([x], [writer.softmax(y)]))
    picture = np.random.default_rng(6).integers(0, 256, (1, 3072)).astype(np.uint8)
    given = picture if dtype == "uint8" else (picture ^ 0x80).view(np.int8)
    session = loaded(new_session, "posix", model, Raw(given))
    runner = MlperfRunner(text_port(session))
    assert runner.command("profile")[1] == "m-model-[ic01]"
    runner.download(picture.tobytes())
    assert runner.infer()[0] == scores(model, Raw(given))[0]
    assert runner.command("db print")[0] == "m-buffer-" + "-".join(f"{each:02x}" for each in picture[0][:8])


@pytest.mark.parametrize("name", FAMILIES)
def test_an_autoencoder_gives_its_mean_squared_error(new_session, name):
    model = autoencoder()
    x = np.random.default_rng(8).normal(0, 4, (1, 640)).astype(np.float32)
    session = loaded(new_session, name, model, Raw(x))
    made = IntegerRunner().run(model, Raw(x)).outputs[0][0]
    total = np.float32(0)
    for error in made.reshape(-1) - x[0]:
        total = np.float32(total + np.float32(error * error))
    runner = MlperfRunner(text_port(session))
    assert runner.command("profile")[1] == "m-model-[ad01]"
    runner.download(x.astype("<f4").tobytes())
    assert runner.infer()[0] == [float(f"{np.float32(total / np.float32(640)):.3f}")]


@pytest.mark.parametrize("name", FAMILIES)
def test_after_power_on_the_stored_model_answers(new_session, name):
    model, vectors = classifier(490, 12), Raw(np.full((1, 490), 7, np.int8))
    session = loaded(new_session, name, model, vectors, storage="flash")
    session.connection.disconnect()
    session.board.power_cycle()
    runner = MlperfRunner(session.board.open_port())
    runner.wake()
    assert runner.command("profile")[1] == "m-model-[kws01]"
    runner.download(vectors.inputs[0].tobytes())
    assert runner.infer()[0] == scores(model, vectors)[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_host_of_ours_ends_inferences_without_end(new_session, name):
    model, vectors = classifier(490, 12), Raw(np.full((1, 490), 7, np.int8))
    session = loaded(new_session, name, model, vectors)
    port = text_port(session)
    MlperfRunner(port).download(vectors.inputs[0].tobytes())
    port.write(b"infer 2000000000%")
    port.close()
    assert BoardRunner(session).run(model, vectors).exact


@pytest.mark.parametrize("name", FAMILIES)
def test_our_host_drives_our_firmware_by_text(new_session, name, tmp_path, digits, samples):
    session = loaded(new_session, name, digits[0], samples)
    counted = BoardRunner(session).run(digits[0], samples)
    bridge = Bridge(text_port(session))
    entry = BoardEntry("other", "serial", "any", port=bridge.url, firmware="external", protocol="mlperf_tiny")
    runner = board_runner([entry], log_dir=tmp_path)
    try:
        run = runner.run(digits[0], samples)
    finally:
        runner.session.close()
        bridge.close()
    right = IntegerRunner().run(digits[0], samples)
    assert run.outputs[0].tobytes() == right.outputs[0].tobytes()
    assert run.runtime.startswith("mlperf_tiny qc-")
    assert not run.exact  # what somebody else's firmware promises is not known
    if counted.unit == "instructions":
        assert run.counters == counted.counters

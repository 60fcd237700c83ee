"""An LSTM of a Keras model becomes one operator where TFLite has it, and computes the same."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.models.conversion.converter import fused_keras_model, run_float
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.prepare import dequantize_output
from pytest_quantcheck.runners.tflm import TflmRunner

pytestmark = [
    pytest.mark.host,
    pytest.mark.usefixtures("keras_is_here"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras with NumPy 2
]

LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
SHAPE = (12, 3)


def network(*layers):
    import keras

    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input(SHAPE), *layers])


def lstm(units=5, **how):
    import keras

    return keras.layers.LSTM(units, **how)


def dense(units=4):
    import keras

    return keras.layers.Dense(units)


def windows(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *SHAPE)).astype(np.float32)


NETWORKS = {
    "last step": lambda: network(lstm(), dense()),
    "all steps": lambda: network(lstm(return_sequences=True), dense()),
    "stacked": lambda: network(lstm(return_sequences=True), lstm(7), dense()),
    "nested": lambda: network(network(lstm()), dense()),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_operator_computes_what_keras_does_for_each_sample_alone(name):
    model = NETWORKS[name]()
    content = fused_keras_model(model)
    assert read_tflite_summary(content).kinds.count(LSTM) == 1
    x = windows(4)
    found = run_float(content, [x])[0].reshape(4, -1)
    np.testing.assert_allclose(found, np.asarray(model(x)).reshape(4, -1), atol=1e-5)


def masked():
    import keras

    return network(keras.layers.Masking(), lstm())


def both_ways():
    import keras

    return network(keras.layers.Bidirectional(lstm()))


OTHERS = {
    "backwards": lambda: network(lstm(go_backwards=True)),
    "another function": lambda: network(lstm(activation="relu")),
    "without a bias": lambda: network(lstm(use_bias=False)),
    "a mask": masked,
    "both ways": both_ways,
    "no LSTM": lambda: network(dense()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_the_operator_does_not_have_stays_written_out(name):
    model = OTHERS[name]()
    assert fused_keras_model(model) == b""
    assert np.isfinite(np.asarray(model(windows(1)))).all()  # the model is as it was


def test_int8_takes_the_operator_and_int16_the_steps(tmp_path):
    model = load(NETWORKS["last step"]())
    samples = Samples(windows(60))
    data = Dataset(samples, samples)
    cache = Cache(tmp_path / "cache")
    kinds, float_outputs = {}, run_float(model.tflite, [windows(60)])[0].reshape(60, -1)
    for scheme in ("int8", "int16x8"):
        made = quantize(model, QuantConfig(scheme=scheme), data, cache=cache)
        kinds[scheme] = read_tflite_summary(made.artefact).kinds
        run = IntegerRunner().run(made, samples)
        assert np.array_equal(run.outputs[0], TflmRunner().run(made, samples).outputs[0])
        assert np.abs(dequantize_output(made, run.outputs[0]) - float_outputs).max() < 0.05
        assert LSTM not in read_tflite_summary(made.float_model).kinds
    assert LSTM in kinds["int8"]
    assert LSTM not in kinds["int16x8"]
    assert "TANH" not in kinds["int8"]


def test_a_file_of_keras_has_the_operator_too(tmp_path):
    NETWORKS["last step"]().save(tmp_path / "net.keras")
    model = load(tmp_path / "net.keras", cache=Cache(tmp_path / "cache"))
    assert LSTM in read_tflite_summary(model.fused).kinds
    assert LSTM not in model.summary.kinds

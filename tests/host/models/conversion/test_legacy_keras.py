"""Files of Keras 2, written by its last package: loaded with their weights, under the rules of others."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.models.conversion.converter import keras_model_to_tflite, run_float
from pytest_quantcheck.models.files.keras_file import safe_copy
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.tflite.quantize import quantize
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.runners.integer import IntegerRunner

pytestmark = [
    pytest.mark.host,
    pytest.mark.usefixtures("keras_is_here"),
    pytest.mark.filterwarnings("ignore"),  # Keras 2 says of each file that its format is old
]
WINDOW, IMAGE = (6, 3), (8, 8, 2)


def _layers():
    import tf_keras

    return tf_keras.layers


def _sequential(shape, *layers):
    import tf_keras

    return tf_keras.Sequential([tf_keras.layers.Input(shape), *layers])


def recurrent(kind: str):
    layers = _layers()
    return _sequential(WINDOW, getattr(layers, kind)(4), layers.Dense(3))


def stacked():
    layers = _layers()
    first = layers.Bidirectional(layers.LSTM(3, return_sequences=True))
    return _sequential(
        WINDOW, first, layers.LSTM(4, go_backwards=True), layers.Dense(3, activation="softmax")
    )


def nested():
    layers = _layers()
    inner = _sequential(IMAGE, layers.Conv2D(3, 3, activation="relu"), layers.GlobalAveragePooling2D())
    return _sequential(IMAGE, inner, layers.Dense(3))


def arithmetic():
    """What a line of Python between layers becomes: TFOpLambda and SlicingOpLambda."""
    import tf_keras

    layers = _layers()
    x = layers.Input(IMAGE)
    y = layers.Conv2D(4, 3, name="block/conv")(x)
    y = layers.DepthwiseConv2D(3)((y * 0.5 + y)[:, 1:, :, :])
    return tf_keras.Model(x, layers.Dense(3)(layers.Flatten()(y)))


BUILDERS = {
    "lstm": lambda: recurrent("LSTM"),
    "gru": lambda: recurrent("GRU"),
    "rnn": lambda: recurrent("SimpleRNN"),
    "stacked": stacked,
    "nested": nested,
    "arithmetic": arithmetic,
}


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", BUILDERS)
def test_a_file_of_keras_2_computes_what_its_model_does(tmp_path, cache, name, suffix):
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    model = BUILDERS[name]()
    path = tmp_path / f"{name}{suffix}"
    model.save(path)
    x = np.random.default_rng(0).normal(size=(5, *model.input_shape[1:])).astype(np.float32)
    loaded = load(path, cache=cache)
    assert loaded.summary.subgraphs == 1
    np.testing.assert_allclose(run_float(loaded.tflite, [x])[0][:, 0], model(x), atol=1e-5)


def test_an_hdf5_file_is_one_whatever_its_name_says(tmp_path, cache):
    model = nested()
    model.save(tmp_path / "model.h5")
    shutil.copy(tmp_path / "model.h5", tmp_path / "model.keras")
    assert (
        load(tmp_path / "model.keras", cache=cache).tflite == load(tmp_path / "model.h5", cache=cache).tflite
    )


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_a_recurrent_network_has_the_same_integers_in_every_exact_runner(tmp_path, cache, kind):
    recurrent(kind).save(tmp_path / "net.h5")
    config = QuantConfig(calibration=Calibration.parse("random:20"))
    model = quantize(tmp_path / "net.h5", config, cache=cache, input_range=(-1, 1))
    samples = Samples(np.random.default_rng(0).uniform(-1, 1, (20, *WINDOW)).astype(np.float32))
    oracle, own = (runner.run(model, samples).outputs[0] for runner in (exact_runner(), IntegerRunner()))
    assert len(np.unique(oracle)) > 5
    assert np.array_equal(oracle, own)


def test_no_samples_leave_a_step_of_an_lstm_in_float(tmp_path, cache):
    """The first step uses three of four gates: TensorFlow's quantizer kept that SPLIT for some samples."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = _layers()
    _sequential((12, 3), layers.LSTM(8), layers.Dense(4)).save(tmp_path / "net.h5")
    source = load(tmp_path / "net.h5", cache=cache)
    outputs = [i for operator in source.summary.operators for i in operator.outputs]
    used = {i for operator in source.summary.operators for i in operator.inputs} | {*source.summary.outputs}
    assert used.issuperset(outputs)
    for seed in range(6):
        config = QuantConfig(calibration=Calibration.parse("random:20", seed))
        quantize(source, config, cache=cache, input_range=(-1, 1))


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_converting_leaves_the_callers_model_as_it_was(kind):
    import keras

    model = keras.Sequential([keras.Input(WINDOW), getattr(keras.layers, kind)(3)])
    keras_model_to_tflite(model)
    assert model.layers[0].unroll is False


def symbol(name):
    return {
        "class_name": "TFOpLambda",
        "config": {"name": "op", "function": name},
        "inbound_nodes": [["x", 0, 0, {"contents": "no"}]],
    }


@pytest.mark.parametrize(
    "name", ["io.write_file", "py_function", "numpy_function", "raw_ops.WriteFile", None]
)
def test_functions_of_tensorflow_that_do_more_than_compute_are_refused(tmp_path, write_h5, write_keras, name):
    config = {"class_name": "Functional", "config": {"name": "f", "layers": [symbol(name)]}}
    (tmp_path / "copy").mkdir()
    for path in (write_h5(config, {}), write_keras(config)):
        with pytest.raises(ModelError, match="not among those that are called"):
            safe_copy(path, tmp_path / "copy")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("QDense", "of QKeras.*model_save_quantized_weights"),
        ("QConv2D", "of QKeras"),
        ("QConv2DBatchnorm", "of QKeras"),
        ("QActivation", "of QKeras"),
        ("QuantizeWrapperV2", "TFLiteConverter"),
        ("PruneLowMagnitude", "strip_pruning"),
    ],
)
def test_layers_of_packages_for_few_bits_are_named_with_what_to_do(tmp_path, write_h5, kind, words):
    layer = {"class_name": kind, "config": {"name": "inner", "layer": {"class_name": "Dense"}}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    (tmp_path / "copy").mkdir()
    with pytest.raises(ModelError, match=f"holds the layer {kind} {words}|holds the layer {kind} .*{words}"):
        safe_copy(write_h5(config, {}), tmp_path / "copy")


def test_a_file_that_neither_keras_loads_says_what_both_say(tmp_path, write_h5, cache):
    layer = {"class_name": "Dense", "config": {"name": "d", "units": 3, "flux": json.loads("1")}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    with pytest.raises(ModelError, match=r"Keras 3\.\S+ cannot load .*Nor can Keras 2 \(tf_keras 2\."):
        load(write_h5(config, {}), cache=cache)

"""The digits network: its weights know the digits, and one command makes them again."""

from __future__ import annotations

import numpy as np
import pytest

from conformance_models import digits
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.representative import representative
from pytest_quantcheck.models.load import load
from pytest_quantcheck.models.schema import semantic_sha256
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.tflite.quantize import quantize

pytestmark = [
    pytest.mark.host,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras with NumPy 2
    pytest.mark.filterwarnings("ignore:Statistics for quantized inputs:UserWarning"),  # any int8 conversion
]


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: extra tensorflow")
    return digits.float_model()


@pytest.fixture(scope="module")
def data():
    return digits.dataset()


def test_the_sets_are_disjoint_and_cover_all_digits(data):
    assert (len(data.calibration), len(data.test)) == (1257, 540)
    assert not set(data.calibration.names) & set(data.test.names)
    assert set(data.test.y) == set(range(10))
    assert (data.test.x.min(), data.test.x.max()) == data.input_range


def test_the_weights_in_the_tree_know_97_percent_of_the_held_out_digits(model, data):
    assert digits.accuracy(model, data.test) >= 0.97


def test_training_again_gives_a_network_as_good_that_agrees_with_them(model, data):
    trained = digits.train()
    assert digits.accuracy(trained, data.test) >= 0.97
    ours, theirs = (m.predict(data.test.x, verbose=0).argmax(axis=1) for m in (trained, model))
    assert np.mean(ours == theirs) >= 0.97


def test_the_network_has_every_operator_that_first_light_needs(model):
    needed = {
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "ADD",
        "MAX_POOL_2D",
        "AVERAGE_POOL_2D",
        "FULLY_CONNECTED",
        "SOFTMAX",
    }
    assert needed <= set(load(model).summary.kinds)


@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
@pytest.mark.parametrize(("input_type", "output_type"), [("int8", "int8"), ("uint8", "float32")])
def test_our_way_through_float_tflite_gives_what_tensorflows_converter_gives(
    model, data, tmp_path, input_type, output_type, granularity
):
    """The public converter, on the Keras model itself: same operators, weights, scales and zero points."""
    import tensorflow as tf

    config = QuantConfig(input_type, output_type, granularity, Calibration.parse("10%"))
    samples = representative(config.calibration, data, [(8, 8, 1)]).inputs[0]
    concrete = tf.function(model).get_concrete_function(tf.TensorSpec((1, 8, 8, 1), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[np.newaxis]] for x in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = getattr(tf, input_type)
    converter.inference_output_type = getattr(tf, output_type)
    converter._experimental_disable_per_channel = granularity == "per_tensor"
    theirs = converter.convert()
    ours = quantize(model, config, data, cache=Cache(tmp_path)).artefact
    assert semantic_sha256(ours) == semantic_sha256(theirs)

"""What people build and TFLite cannot hold: each is refused by name, with a way out, and nothing crashes."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import ModelError, QuantizationError
from pytest_quantcheck.models.conversion.converter import (
    keras_model_to_tflite,
    run_float,
    saved_model_to_tflite,
)
from pytest_quantcheck.models.files.keras_file import safe_copy
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.tflite.quantize import quantize

pytestmark = [
    pytest.mark.host,
    pytest.mark.usefixtures("keras_is_here"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras with NumPy 2
]


def dense(**how):
    import keras

    return keras.layers.Dense(3, **how)


def network(*layers, inputs=((8,),), **how):
    """The layers, one behind the other, on the first of the inputs."""
    import keras

    ends = [keras.Input(shape, **how) for shape in inputs]
    x = ends[0]
    for layer in layers:
        x = layer(x)
    return keras.Model(ends, x)


def float_model(model) -> FloatModel:
    return FloatModel.from_tflite(keras_model_to_tflite(model), "strange", "strange")


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "float64"])
def test_a_layer_of_another_precision_is_named_in_a_nested_model_too(policy):
    import keras

    inner = keras.Sequential([keras.Input((8,)), dense(name="half", dtype=policy)])
    for model in (inner, network(inner)):
        with pytest.raises(ModelError, match=r"layer 'half' .* computes in .*set_dtype_policy\('float32'\)"):
            keras_model_to_tflite(model)


def test_a_name_that_tensorflow_cannot_trace_is_quoted_without_a_traceback():
    import keras

    with pytest.raises(ModelError, match=r"'größe' is not a valid .* rename the layer") as caught:
        keras_model_to_tflite(keras.Sequential([keras.Input((8,)), dense()], name="größe"))
    assert "File " not in str(caught.value)


def test_an_operator_that_tflite_lacks_is_named():
    import keras
    import tensorflow as tf

    model = network(keras.layers.Lambda(lambda x: tf.math.igamma(x, x)))
    with pytest.raises(ModelError, match=r"no operator for TensorFlow's Igamma; replace the layer"):
        keras_model_to_tflite(model)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_an_integer_input_is_no_sign_of_a_quantized_model(dtype):
    import keras

    with pytest.raises(ModelError, match=f"is {dtype}; only float32 inputs .* float32 inputs"):
        float_model(network(keras.layers.Rescaling(0.1), dense(), dtype=dtype))


def test_a_recurrent_layer_becomes_steps_without_a_loop():
    import keras

    model = network(keras.layers.GRU(3), inputs=((4, 2),))
    made = float_model(model)
    assert made.summary.subgraphs == 1
    x = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    np.testing.assert_allclose(run_float(made.tflite, [x])[0][:, 0], model(x), atol=1e-5)


def test_nan_among_the_weights_is_found_before_anything_is_quantized():
    import keras

    with pytest.raises(ModelError, match="holds NaN"):
        float_model(network(dense(kernel_initializer=keras.initializers.Constant(np.nan))))


def test_an_input_that_nothing_uses_is_said_to_be_unused():
    model = network(dense(), inputs=((8,), (4,)))
    samples = Samples(tuple(np.eye(n, dtype="f4")[:3] for n in (8, 4)))
    with pytest.raises(QuantizationError, match=r"\[input_unused\] .* belongs to no operator"):
        quantize(float_model(model), QuantConfig(), samples)


@pytest.mark.parametrize(("registered", "said"), [("Scale", "Scale"), ("lab>Scale", "lab.Scale")])
def test_a_custom_layer_without_a_module_is_named(write_keras, tmp_path, registered, said):
    layer = {"module": None, "class_name": "Scale", "config": {}, "registered_name": registered}
    path = write_keras(json.dumps({"module": "keras", "class_name": "Functional", "layers": [layer]}))
    with pytest.raises(ModelError, match=re.escape(f"custom object {said}, which") + ".*package.module"):
        safe_copy(path, tmp_path)


def test_a_keras_model_written_by_tf_saved_model_keeps_its_weights(tmp_path):
    import tensorflow as tf

    model = network(dense())
    tf.saved_model.save(model, str(tmp_path))
    written = FloatModel.from_tflite(saved_model_to_tflite(str(tmp_path)), "saved", "saved")
    assert written.summary.kinds == float_model(model).summary.kinds == ("FULLY_CONNECTED",)


@pytest.fixture
def save(tmp_path):
    """``save(one="a", two="b")``: a SavedModel whose signature a adds 1 and whose b doubles."""
    import tensorflow as tf

    class Two(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 8))])
        def one(self, x):
            return x + 1.0

        @tf.function(input_signature=[tf.TensorSpec((1, 8))])
        def two(self, x):
            return x * 2.0

    def make(**names):
        module = Two()
        signatures = {name: getattr(module, function) for function, name in names.items()}
        tf.saved_model.save(module, str(tmp_path), signatures or None)
        return str(tmp_path)

    return make


def test_of_several_signatures_the_default_is_converted(save):
    folder = save(two="serving_default", one="other")
    kinds = FloatModel.from_tflite(saved_model_to_tflite(folder), "two", "two").summary.kinds
    assert kinds == ("MUL",)


@pytest.mark.parametrize(
    ("names", "said"), [({"one": "a", "two": "b"}, "the signatures a, b"), ({}, "no signature")]
)
def test_where_no_signature_is_the_default_they_are_listed(save, names, said):
    with pytest.raises(ModelError, match=said + r"; allowed: .* signatures=module\.function"):
        saved_model_to_tflite(save(**names))

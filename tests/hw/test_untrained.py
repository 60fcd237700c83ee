"""Networks as the converter writes them: TFLM, the interpreter and the engine compute the same integers."""

from __future__ import annotations

import numpy as np
import pytest

from conformance_models.untrained import NETWORKS, transformer
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.models.conversion.converter import keras_model_to_tflite
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.tflite.quantize import quantize
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.tflm import TflmRunner

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def converter_and_oracle_are_here():
    """TensorFlow is imported by the tests, not by their collection: every worker collects all modules."""
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: extra tensorflow")
    pytest.importorskip("tflite_micro", reason="tflite_micro is not installed: extra tflm")


CONFIGURATIONS = {
    "int8": QuantConfig(),
    "per_tensor": QuantConfig(granularity="per_tensor", input_type="uint8", output_type="uint8"),
    "int16x8": QuantConfig(scheme="int16x8"),
}
CONVERTED = {**NETWORKS, "transformer": transformer}
# TRANSPOSE_CONV, RESIZE_BILINEAR, RSQRT: int8 only (docs/operators.md)
WITHOUT_INT16 = ("activations", "decoder", "transformer")


@pytest.mark.parametrize("name", CONVERTED)
def test_a_converted_network_has_the_same_integers_everywhere(new_session, tmp_path, name):
    content = keras_model_to_tflite(CONVERTED[name]())
    network = FloatModel.from_tflite(content, name, name)
    generator = np.random.default_rng(1)
    inputs = tuple(generator.normal(size=(4, *shape)).astype("f4") for shape in network.input_shapes)
    samples = Samples(inputs if len(inputs) > 1 else inputs[0])
    board = BoardRunner(new_session("posix"))
    for key, config in CONFIGURATIONS.items():
        if key == "int16x8" and name in WITHOUT_INT16:
            continue
        model = quantize(network, config, samples, cache=Cache(tmp_path / "cache"))
        oracle, *others = (
            each.run(model, samples).outputs for each in (TflmRunner(), IntegerRunner(), board)
        )
        for outputs in others:
            for one, two in zip(oracle, outputs, strict=True):
                assert one.dtype == two.dtype
                assert np.array_equal(one, two), key

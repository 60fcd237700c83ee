"""What we make is what TensorFlow's own converter makes: same operators, tensors, scales, constants.

The network is converted once to a float flatbuffer, calibrated once, then quantized or rewritten; the plain
converter starts from the Keras model each time.
"""

from __future__ import annotations

import contextlib
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from conformance_models.untrained import NETWORKS
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.models.conversion import converter
from pytest_quantcheck.models.rewriting import rewrite
from tests.plain_converter import canonical, convert

pytestmark = [
    pytest.mark.host,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras with NumPy 2
]

CONFIGURATIONS = [  # scheme, input, output, per tensor
    ("int8", "int8", "int8", False),
    ("int8", "uint8", "float32", False),
    ("int8", "float32", "uint8", True),
    ("int16x8", "int16", "float32", False),
    ("int16x8", "float32", "int16", True),
    ("dynamic", "float32", "float32", False),
    ("float16", "float32", "float32", False),
]


class Network:
    """A network in all the forms that both ways start from."""

    def __init__(self, name: str, folder: Path) -> None:
        import tensorflow as tf

        model = NETWORKS[name]()
        self.folder = folder
        generator = np.random.default_rng(0)
        self.samples = [generator.normal(size=(6, *i.shape[1:])).astype("f4") for i in model.inputs]
        self.float = converter.keras_model_to_tflite(model)
        self.calibrated = converter.calibrate_tflite(self.float, self.samples)
        sizes = [tf.TensorSpec((1, *i.shape[1:])) for i in model.inputs]
        with converter._silence():
            model.export(folder, input_signature=[sizes] if len(sizes) > 1 else sizes)

    def plain(self, scheme: str, input_type: str, output_type: str, per_tensor: bool) -> bytes:
        import tensorflow as tf

        with converter._silence(), Path(os.devnull).open("w") as void, contextlib.redirect_stderr(void):
            return convert(
                tf.lite.TFLiteConverter.from_saved_model(str(self.folder)),
                self.samples,
                scheme=scheme,
                input_type=input_type,
                output_type=output_type,
                per_tensor=per_tensor,
            )

    def ours(self, scheme: str, input_type: str, output_type: str, per_tensor: bool) -> bytes:
        if scheme in ("dynamic", "float16"):
            return converter.weights_only(self.float, scheme=scheme)
        return converter.quantize_calibrated(
            self.calibrated,
            scheme=scheme,
            input_type=input_type,
            output_type=output_type,
            per_tensor=per_tensor,
        )


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: extra tensorflow")
    return cache(lambda name: Network(name, tmp_path_factory.mktemp(name)))


def possible(name: str, configuration: tuple[str, str, str, bool]) -> bool:
    """TensorFlow has no per-tensor int16x8 with depthwise layers."""
    return name != "depthwise" or configuration[0] != "int16x8" or not configuration[3]


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: "-".join(map(str, c)))
@pytest.mark.parametrize("name", NETWORKS)
def test_the_artefact_is_the_plain_converters(network, name, configuration):
    if possible(name, configuration):
        assert canonical(network(name).ours(*configuration)) == canonical(network(name).plain(*configuration))
        return
    with pytest.raises(RuntimeError, match="Quantized dimension"):
        network(name).plain(*configuration)
    one = read_summary(network(name).ours(*configuration))
    weights = [one.tensors[op.inputs[1]] for op in one.operators if "CONV" in op.kind]
    assert [len(w.scales) for w in weights] == [1] * 2


@pytest.mark.parametrize("name", ["resnet8", "autoencoder", "activations"])
def test_the_rewriting_that_replaces_it_is_exact_where_tensorflow_can_do_the_same(network, name):
    per_channel = network(name).ours("int16x8", "int16", "int16", False)
    rewritten = rewrite.one_scale(per_channel, network(name).calibrated)
    assert canonical(rewritten) == canonical(network(name).ours("int16x8", "int16", "int16", True))


def test_the_comparison_sees_a_scale_that_is_a_little_off(network):
    made = network("autoencoder").ours("int8", "int8", "int8", False)
    tree = rewrite.Tree(made)
    tensor = tree.graph.tensors[tree.graph.outputs[0]]
    tensor.quantization.scale = np.nextafter(np.asarray(tensor.quantization.scale, "f4"), np.float32(1))
    assert canonical(tree.bytes()) != canonical(made)


@pytest.mark.parametrize("scheme", ["dynamic", "float16"])
def test_weights_are_stored_smaller(network, scheme):
    assert len(network("resnet8").ours(scheme, "", "", False)) < 0.6 * len(network("resnet8").float)

"""What can be given as a model, and what each wrong thing is told."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from pytest_quantcheck.demo.artefacts import CONFIGURATIONS, DATA, FLOAT_MODEL
from pytest_quantcheck.errors import ModelError, QuantcheckError, UsageError
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.models.conversion.worker import shared_worker
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.load import load

pytestmark = pytest.mark.host


def run_float(content: bytes, *inputs: np.ndarray) -> list[np.ndarray]:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    for details, array in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(details["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def test_a_float_tflite_file_is_taken_as_it_is(digits_tflite):
    model = load(DATA / FLOAT_MODEL)
    assert model.tflite == digits_tflite
    assert model.name == "digits"
    assert model.input_shapes == ((8, 8, 1),)
    assert model.output_shapes == ((10,),)
    assert model.source_sha256 == hashlib.sha256(digits_tflite).hexdigest()


def test_relative_names_start_from_the_given_folder():
    assert load(FLOAT_MODEL, base=DATA).name == "digits"


def test_bytes_and_loaded_models_are_models(digits_tflite):
    model = load(digits_tflite, name="mine")
    assert model.name == "mine"
    assert load(model) is model


def test_a_function_may_return_a_file_name(tmp_path, digits_tflite):
    (tmp_path / "net.tflite").write_bytes(digits_tflite)
    (tmp_path / "quant_models_ok.py").write_text(
        "def network(): return 'net.tflite'\n"
        "def again(): return 'quant_models_ok:network'\n"
        "def none(): pass\n"
    )
    assert load("quant_models_ok:network", base=tmp_path).tflite == digits_tflite
    with pytest.raises(UsageError, match="another reference"):
        load("quant_models_ok:again", base=tmp_path)
    with pytest.raises(UsageError, match="a NoneType is not a model"):
        load("quant_models_ok:none", base=tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.keras", "no model file"),
        ("notes.txt", r"type \.txt"),
        ("bare", r"\(none\)"),
        (".", "saved_model"),
    ],
)
def test_what_is_no_model_is_told_what_is(tmp_path, name, words):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "bare").write_text("hello")
    with pytest.raises(QuantcheckError, match=words):
        load(name, base=tmp_path)


def test_an_integer_model_is_told_to_be_given_as_the_artefact():
    with pytest.raises(ModelError, match="already quantized"):
        load(DATA / f"digits-{CONFIGURATIONS[0].id}.tflite")


def test_an_integer_model_with_float_edges_is_not_taken_for_float():
    with pytest.raises(ModelError, match="not a float model"):
        load(DATA / f"digits-{CONFIGURATIONS[4].id}.tflite")


def test_float16_weights_are_taken_as_the_float32_that_they_are(digits_tflite, cache, tmp_path):
    half = shared_worker().call("weights_only", content=digits_tflite, scheme="float16")
    (tmp_path / "half.tflite").write_bytes(half)
    model = load(tmp_path / "half.tflite", cache=cache)
    assert "DEQUANTIZE" in read_tflite_summary(half).kinds
    assert "DEQUANTIZE" not in model.summary.kinds
    assert {tensor.dtype for tensor in model.summary.tensors} <= {"float32", "int32"}
    x = np.random.default_rng(0).uniform(size=(1, 8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(run_float(model.tflite, x)[0], run_float(half, x)[0], atol=1e-6)
    assert model.source_sha256 == hashlib.sha256(half).hexdigest()
    assert load(half, cache=cache).tflite == model.tflite


@pytest.mark.parametrize("cut", [0, 3, 8, 100, 20_000])
def test_a_truncated_flatbuffer_is_an_error(digits_tflite, cut):
    with pytest.raises(ModelError):
        load(digits_tflite[:cut])


def test_damaged_flatbuffers_are_errors_or_models_and_nothing_else(digits_tflite):
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(digits_tflite)
        for position in generator.integers(0, 1500, 3):
            damaged[position] = generator.integers(256)
        try:
            FloatModel.from_tflite(bytes(damaged), "x", "x")
        except ModelError:
            refused += 1
    assert refused > 20


OLD_MODEL = {
    "class_name": "Sequential",
    "config": {
        "name": "outer",
        "layers": [
            {
                "class_name": "InputLayer",
                "config": {"batch_input_shape": [None, 4, 4, 2], "dtype": "float32", "name": "in"},
            },
            {
                "class_name": "Functional",
                "config": {
                    "name": "inner",
                    "layers": [
                        {
                            "class_name": "InputLayer",
                            "config": {
                                "batch_input_shape": [None, 4, 4, 2],
                                "dtype": "float32",
                                "name": "input_4",
                            },
                            "name": "input_4",
                            "inbound_nodes": [],
                        },
                        {
                            "class_name": "DepthwiseConv2D",
                            "config": {
                                "name": "layer1/dw",
                                "kernel_size": [3, 3],
                                "padding": "same",
                                "groups": 1,
                                "use_bias": False,
                            },
                            "name": "layer1/dw",
                            "inbound_nodes": [[["input_4", 0, 0, {}]]],
                        },
                    ],
                    "input_layers": [["input_4", 0, 0]],
                    "output_layers": [["layer1/dw", 0, 0]],
                },
            },
            {"class_name": "GlobalAveragePooling2D", "config": {"name": "pool"}},
            {"class_name": "Dense", "config": {"name": "dense", "units": 3}},
        ],
    },
}


def test_a_keras_2_file_loads_with_its_weights_and_is_not_touched(write_h5, cache):
    """Groups in depthwise layers, slashes in names and nested models: Keras 3 refuses all three."""
    generator = np.random.default_rng(0)
    kernel, matrix = (
        generator.normal(size=(3, 3, 2, 1)).astype("f4"),
        generator.normal(size=(2, 3)).astype("f4"),
    )
    bias = np.array([1, 2, 3], "f4")
    path = write_h5(
        OLD_MODEL,
        {
            "inner": {"layer1/dw/depthwise_kernel:0": kernel},
            "pool": {},
            "dense": {"dense/kernel:0": matrix, "dense/bias:0": bias},
        },
    )
    path.chmod(0o400)
    before = path.read_bytes()
    model = load(path, cache=cache)
    assert path.read_bytes() == before
    assert model.source_sha256 == hashlib.sha256(before).hexdigest()

    image = generator.normal(size=(1, 4, 4, 2)).astype("f4")
    padded = np.pad(image[0], ((1, 1), (1, 1), (0, 0)))
    filtered = sum(padded[i : i + 4, j : j + 4] * kernel[i, j, :, 0] for i in range(3) for j in range(3))
    (output,) = run_float(model.tflite, image)
    np.testing.assert_allclose(output[0], filtered.mean(axis=(0, 1)) @ matrix + bias, rtol=1e-5, atol=1e-6)


def test_a_warm_cache_answers_without_tensorflow(write_h5, cache):
    first_layer = OLD_MODEL["config"]["layers"][0]
    dense = {"class_name": "Dense", "config": {"name": "dense", "units": 2}}
    flat = {"class_name": "Flatten", "config": {"name": "flat"}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [first_layer, flat, dense]}}
    weights = {"dense/kernel:0": np.ones((32, 2), "f4"), "dense/bias:0": np.zeros(2, "f4")}
    path = write_h5(config, {"flat": {}, "dense": weights})
    expected = load(path, cache=cache).tflite
    program = (
        "import hashlib, sys\n"
        "from pytest_quantcheck.models.load import load\n"
        "from pytest_quantcheck.models.conversion.worker import Worker\n"
        "from pytest_quantcheck.cache import Cache\n"
        "Worker.call = None  # a conversion would be a TypeError\n"
        "model = load(sys.argv[1], cache=Cache(sys.argv[2]))\n"
        "assert not {'tensorflow', 'keras', 'h5py'} & set(sys.modules)\n"
        "print(hashlib.sha256(model.tflite).hexdigest())"
    )
    told = subprocess.check_output([sys.executable, "-c", program, str(path), str(cache.root)], text=True)
    assert told.strip() == hashlib.sha256(expected).hexdigest()

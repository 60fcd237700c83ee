"""Hostile and unusable Keras files: refused before Keras or TensorFlow has seen them."""

from __future__ import annotations

import json
import sys
import zipfile

import numpy as np
import pytest

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.models.files.keras_file import safe_copy

pytestmark = pytest.mark.host

INPUT = {"class_name": "InputLayer", "config": {"batch_shape": [None, 4], "name": "x"}}
LAMBDA = {
    "class_name": "Lambda",
    "config": {"name": "evil", "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}},
}


def sequential(*layers):
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "s", "layers": [INPUT, *layers]},
    }


@pytest.fixture(params=["keras", "h5"])
def write(request, write_keras, write_h5):
    return write_keras if request.param == "keras" else lambda config: write_h5(config, {})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "copy").mkdir()
    return tmp_path / "copy"


def refused(path, folder, words):
    with pytest.raises(ModelError, match=words) as caught:
        safe_copy(path, folder)
    assert list(folder.iterdir()) == []
    assert str(path) in str(caught.value)


def test_a_lambda_layer_is_code_and_refused(write, folder):
    refused(write(sequential(LAMBDA)), folder, "Lambda layer, that is Python code")


def test_a_lambda_deep_inside_a_nested_model_is_found(write, folder):
    nested = {"class_name": "Functional", "config": {"name": "inner", "layers": [sequential(LAMBDA)]}}
    refused(write(sequential(nested)), folder, "Python code")


@pytest.mark.parametrize("module", ["os", "subprocess", "mypackage.layers", "keras_evil", "kerasx.layers"])
def test_modules_outside_keras_are_not_imported(write, folder, module):
    layer = {"module": module, "class_name": "system", "config": {"command": "true"}}
    refused(write(sequential(layer)), folder, f"custom object {module}.system")
    assert module == "os" or module == "subprocess" or module not in sys.modules


def test_a_function_of_another_module_is_found_in_a_layers_argument(write, folder):
    layer = {
        "class_name": "Dense",
        "module": "keras.layers",
        "config": {"units": 1, "activation": {"module": "os", "class_name": "function", "config": "system"}},
    }
    refused(write(sequential(layer)), folder, r"os\.function")


def test_layers_of_keras_itself_pass(write, folder):
    layer = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1, "name": "d"}}
    assert safe_copy(write(sequential(layer)), folder).parent == folder


def test_weights_only_are_told_what_to_do(write_h5, folder):
    path = write_h5(None, {"dense": {"dense/kernel:0": np.zeros((2, 2), "f4")}})
    refused(path, folder, "weights only")


def test_an_architecture_that_is_no_json_is_an_error(write_h5, write_keras, folder):
    refused(write_h5("{not json", {}), folder, "not JSON")
    refused(write_keras("{not json"), folder, "not a sound .keras file")


def test_deep_nesting_is_an_error_and_no_crash(write_keras, write_h5, folder):
    bomb = "[" * 100_000 + "]" * 100_000
    refused(write_keras(bomb), folder, "not a sound")
    refused(write_h5('{"class_name": ' + bomb[:60_000] + "}", {}), folder, "not JSON")


def test_an_oversized_architecture_is_not_read(write_keras, folder):
    refused(write_keras("[" + " " * (65 << 20) + "]"), folder, "64 MiB")


def test_an_archive_without_a_model_is_an_error(write_keras, folder):
    refused(write_keras(sequential(), members=()), folder, "missing in it")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n" + bytes(100), b"hello" * 100])
def test_damaged_files_are_errors(tmp_path, folder, suffix, content):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    refused(path, folder, "not a sound")


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_damaged_content_is_told_however_it_is_packed(tmp_path, folder, packing):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", packing) as file:
        file.writestr("config.json", json.dumps(sequential()) + " " * 3000)
        file.writestr("model.weights.h5", b"")
    sound = path.read_bytes()
    start, told = 30 + len("config.json"), 0  # some bits of a packing mean nothing
    for at in range(start, start + 60):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 0xFF]) + sound[at + 1 :])
        try:
            safe_copy(path, folder).unlink()
        except ModelError as error:
            told += "not a sound .keras file" in str(error)
    assert told > 50


def test_an_h5_file_named_keras_is_told_so(write_h5, folder):
    refused(write_h5(sequential(), {}, "model.keras"), folder, r"rename it to \.h5")

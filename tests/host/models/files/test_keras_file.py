"""Hostile and unusable Keras files: refused before Keras or TensorFlow has seen them."""

from __future__ import annotations

import json
import sys
import warnings
import zipfile

import h5py
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


def test_an_h5_file_named_keras_is_read_as_what_it_is(write_h5, folder):
    assert safe_copy(write_h5(sequential(), {}, "model.keras"), folder).name == "model.h5"


def test_an_h5_file_named_keras_keeps_to_the_same_rules(write_h5, folder):
    refused(write_h5(sequential(LAMBDA), {}, "model.keras"), folder, "Python code")


def layer(name, **config):
    return {"module": "keras.layers", "class_name": name, "config": config, "registered_name": None}


@pytest.mark.parametrize(
    "name",
    ["TFSMLayer", "StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "TorchModuleWrapper",
     "JaxLayer", "FlaxLayer", "NextYearsLayer"],
)  # fmt: skip
def test_a_layer_of_keras_that_does_more_than_compute_is_named(write, folder, name):
    refused(write(sequential(layer(name, filepath="/tmp/model", vocabulary="/etc/passwd"))), folder, name)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras.utils", "get_file"),
        ("keras.config", "enable_unsafe_deserialization"),
        ("keras.models", "load_model"),
        ("keras.saving", "load_model"),
        ("builtins", "eval"),
        ("keras.src.saving.saving_lib", "zipfile"),
    ],
)
def test_a_function_of_keras_that_is_no_activation_is_refused(write, folder, module, name):
    function = {"module": module, "class_name": "function", "config": name, "registered_name": None}
    refused(write(sequential(layer("Activation", activation=function))), folder, f"the function '{name}'")


@pytest.mark.parametrize(
    "item",
    [
        {"module": "keras.src.ops.core", "class_name": "Map", "config": {}},
        {"module": "keras.layers", "class_name": "__typespec__", "spec_name": "system", "config": []},
        {"module": "keras.layers", "class_name": ["Dense"], "config": {}},
        {"module": "keras.layers\n.os", "class_name": "Dense", "config": {}},
        {"module": "keras.layers", "class_name": "Dense", "config": {}, "registered_name": "evil>Dense"},
        {"module": "builtins", "class_name": "open", "config": {}},
    ],
    ids=["map", "typespec", "no name", "module", "registered", "builtin"],
)
def test_other_ways_to_name_code_are_refused(write, folder, item):
    refused(write(sequential(item)), folder, "not among|plain name|custom object")


def test_what_training_needs_is_left_out_and_may_be_the_users_own(write_keras, folder):
    loss = {"module": "my.losses", "class_name": "function", "config": "loss"}
    config = {**sequential(layer("Dense", units=1)), "compile_config": {"loss": loss}}
    copy = safe_copy(write_keras(config), folder)
    with zipfile.ZipFile(copy) as archive:
        assert sorted(archive.namelist()) == ["config.json", "model.weights.h5"]
        assert "compile_config" not in json.loads(archive.read("config.json"))


def test_what_training_needs_never_reaches_keras_from_an_h5_file(write_h5, folder):
    """Keras compiles nested models even where it is told not to."""
    inner = {**sequential(layer("Dense", units=1)), "module": "keras"}
    inner["compile_config"] = {"loss": {"module": "os", "class_name": "function", "config": "system"}}
    copy = safe_copy(write_h5(sequential(inner), {}), folder)
    with h5py.File(copy) as file:
        assert "compile_config" not in str(file.attrs["model_config"])


def test_of_two_architectures_in_one_archive_the_checked_one_is_loaded(write_keras, folder):
    path = write_keras(sequential(LAMBDA))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("config.json", json.dumps(sequential(layer("Dense", units=1))))
    with zipfile.ZipFile(safe_copy(path, folder)) as archive:
        assert b"Lambda" not in archive.read("config.json")


@pytest.mark.parametrize("trick", ["external", "outside", "soft", "virtual", "bomb"])
def test_weights_from_elsewhere_and_bombs_are_refused(tmp_path, folder, trick):
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(sequential(layer("Dense", units=1)))
        if trick == "external":
            file["kernel"] = h5py.ExternalLink("/etc/hostname", "/x")
        elif trick == "outside":
            file.create_dataset("kernel", (4,), "u1", external=[("/etc/hostname", 0, 4)])
        elif trick == "soft":
            file["kernel"] = h5py.SoftLink("/kernel")
        elif trick == "virtual":
            layout = h5py.VirtualLayout((4,), "u1")
            layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
            file.create_virtual_dataset("kernel", layout)
        else:
            file.create_dataset("kernel", (1 << 40,), "f4", chunks=(1024,))
    refused(path, folder, "links to|from another file|unpack from")


def test_every_ordinary_layer_of_the_installed_keras_is_known(keras_is_here):
    """But for those that run code, read files, load other models or have no inference of their own."""
    import inspect

    import keras

    from pytest_quantcheck.models.files.keras_objects import CLASSES

    left_out = {
        *(
            "Lambda",
            "TFSMLayer",
            "TorchModuleWrapper",
            "JaxLayer",
            "FlaxLayer",
            "Layer",
            "Wrapper",
            "Pipeline",
        ),
        *("StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "HashedCrossing", "Pipeline"),
        *("AugMix", "AutoContrast", "CutMix", "MixUp", "RandAugment", "Equalization", "MaxNumBoundingBoxes"),
        *("ContrastLimitedAdaptiveHistogramEqualization", "RandomColorDegeneration", "RandomColorJitter"),
        *("RandomElasticTransform", "RandomGaussianBlur", "RandomPerspective", "RandomPosterization"),
    }
    names = {
        value.__name__
        for value in vars(keras.layers).values()
        if inspect.isclass(value) and issubclass(value, keras.layers.Layer)
    }
    assert names - CLASSES == left_out & names
    assert not CLASSES & left_out

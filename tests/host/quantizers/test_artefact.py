"""Artefact and manifest on disk belong together."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.data.tasks.heads.finish import Finish
from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.quantizers.artefact import read_artefact, write_artefact

pytestmark = pytest.mark.host


@pytest.fixture
def written(quantize_digits, tmp_path):
    model = quantize_digits()
    path = tmp_path / "digits.tflite"
    manifest = write_artefact(model, path)
    return model, path, manifest


def test_what_was_written_is_read_again(written):
    model, path, manifest = written
    again = read_artefact(path)
    assert manifest == path.with_name("digits.tflite.json")
    assert (again.artefact, again.config, again.id) == (model.artefact, model.config, model.id)
    assert again.manifest["artefact"]["sha256"] == model.sha256


def test_an_artefact_without_manifest_has_no_configuration(written):
    _, path, manifest = written
    manifest.unlink()
    assert read_artefact(path).config is None
    assert read_artefact(path).id == "digits"


def test_a_manifest_of_another_artefact_is_an_error(written):
    _, path, _ = written
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="SHA-256 differs"):
        read_artefact(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"artefact": {}}', '{"artefact": {"sha256": 5}}'])
def test_a_file_that_is_no_manifest_is_an_error(written, text):
    _, path, manifest = written
    manifest.write_text(text)
    with pytest.raises(ModelError, match="not a manifest"):
        read_artefact(path)


def test_constant_outputs_are_put_back_when_it_is_read_again(quantize_digits, tmp_path):
    anchors = np.float32([[0.25, 0.5, -0.125, 1e-7]])
    model = replace(quantize_digits(), finish=Finish({1: anchors}))
    write_artefact(model, tmp_path / "digits.tflite")
    again = read_artefact(tmp_path / "digits.tflite")
    scores, found = again.finish((np.zeros((3, 10), np.float32),))
    assert scores.shape == (3, 10)
    assert found.dtype == np.float32
    assert np.array_equal(found, np.broadcast_to(anchors, (3, 1, 4)))


@pytest.mark.parametrize(
    "wrong",
    [
        5,
        {"a": [1]},
        {"-1": [1]},
        {"0": [[1], [1, 2]]},
        {"0": ["x"]},
        {"0": [1e999]},
        {"0": [1e39]},
        {"00": [1]},
        {"256": [1]},
        {"0": []},
    ],
)
def test_constant_outputs_that_are_no_arrays_are_an_error(written, wrong):
    _, path, manifest = written
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "constant_outputs": wrong}))
    with pytest.raises(ModelError, match="constant_outputs are no arrays"):
        read_artefact(path)


def test_constants_that_the_float_model_does_not_have_are_refused(written):
    """They would stand in for the network in every score, the float model's among them."""
    _, path, manifest = written
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "constant_outputs": {"0": [0, 1]}}))
    with pytest.raises(ModelError, match="not those of the float model"):
        read_artefact(path, float_model=(DATA / FLOAT_MODEL).read_bytes())
    (note,) = (
        each for each in read_artefact(path).manifest["findings"] if each["code"] == "constant_outputs"
    )
    assert note["sentence"].startswith("The network does not compute the outputs at 0: ")


def test_a_wrong_value_in_a_manifest_is_an_error_that_names_it(written):
    _, path, manifest = written
    content = json.loads(manifest.read_text())
    content["config"]["granularity"] = "per_axis"
    manifest.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="per_axis"):
        read_artefact(path)


def test_a_missing_artefact_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="there is no artefact"):
        read_artefact(tmp_path / "absent.tflite")

"""The quantizer esp_ppq: its environment, its options, and how its files are read.

esp-ppq itself runs in ``python -m tests.nightly.esp_ppq``, which installs it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.errors import ModelError, PluginError, QuantizationError, UsageError
from pytest_quantcheck.formats.onnx import metadata, parse
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.from_espdl.qdq import qdq_of
from pytest_quantcheck.graph.from_onnx.read import DTYPE, ROUNDING, read_onnx
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.esp_ppq import environment
from pytest_quantcheck.quantizers.esp_ppq.layout import as_source
from pytest_quantcheck.quantizers.esp_ppq.options import EspPpqOptions
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.runners.prepare import quantize_inputs
from pytest_quantcheck.workflows.espdl.file_export import with_vectors
from tests.espdl_networks import network, samples

pytestmark = pytest.mark.host

RNG = np.random.default_rng(5)
TOLD = {ROUNDING: "half_up", DTYPE: "int8"}


def ask(cache: Cache, **options: str) -> None:
    quantize(
        network(0),
        QuantConfig(quantizer="esp_ppq", options=options),
        samples(0),
        cache=cache,
        name="net",
    )


def interpreter(folder: Path, script: str) -> Path:
    """A program in place of the environment's Python."""
    path = folder / "bin" / "python"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "QC_ESP_PPQ names none; make one: python3 -m venv ppq"),
        ("/nowhere", "there is no Python in it; make one"),
        (sys.executable, r"does not import esp-ppq: .*esp-ppq.*; make one"),
    ],
)
def test_an_environment_without_esp_ppq_is_refused_with_the_way_to_make_one(
    given: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(environment.VARIABLE, given)
    with pytest.raises(PluginError, match=words):
        ask(Cache(tmp_path))


def test_options_are_its_own_and_a_chip_without_vectors_is_called_c() -> None:
    assert EspPpqOptions.read({"target": "esp32c3"}).id == "c"
    assert EspPpqOptions.read({"target": "esp32p4", "calibration_method": "kl"}).id == "esp32p4-kl"
    for options, words in (
        ({"target": "esp32"}, "target='esp32' is not known; allowed: c, esp32s3, esp32p4"),
        ({"calibration_method": "entropy"}, "allowed: kl, minmax, mse, percentile"),
        ({"bits": 8}, "option 'bits' of the quantizer esp_ppq is not known"),
    ):
        with pytest.raises(UsageError, match=words):
            QuantConfig(quantizer="esp_ppq", options=options)


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        (
            "echo 'KeyError: 7' >&2; exit 1",
            QuantizationError,
            "quantize the model 'net': KeyError: 7",
        ),
        (
            "sleep 60",
            ModelError,
            "within 1 s; raise the limit with the variable QC_CONVERSION_S",
        ),
    ],
)
def test_what_esp_ppq_cannot_do_is_told_in_its_words(
    script: str, error: type[Exception], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = interpreter(tmp_path, f'[ -n "$2" ] || {{ echo "{{}}"; exit; }}\nexec sh -c "{script}"')
    monkeypatch.setenv(environment.VARIABLE, str(folder))
    monkeypatch.setenv("QC_CONVERSION_S", "1")
    with pytest.raises(error, match=words):
        ask(Cache(tmp_path / "cache"))


@pytest.mark.parametrize("outputs", ["right", "two steps off", "not a number"])
def test_a_file_must_give_what_the_executor_gave(
    outputs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that lie ready in place of esp-ppq's own: of the quantizer ``espdl``, which makes the same."""
    data = samples(0)
    config = QuantConfig(quantizer="espdl", options={"target": "esp32c3"}, calibration="all")
    model = quantize(network(0), config, data, cache=Cache(tmp_path / "first"), name="net")
    x = quantize_inputs(model, data.take(range(4)))[0]
    integers = execute.run_batch(model.graph, [x[:, None]])[model.graph.outputs[0]]
    quantization = model.graph.tensors[model.graph.outputs[0]].quantization
    assert integers is not None
    assert quantization is not None
    off = {"right": 0.0, "two steps off": 2.0, "not a number": np.nan}[outputs]
    ready = tmp_path / "ready"
    ready.mkdir()
    (ready / "model.espdl").write_bytes(with_vectors(model.artefact, [x[:1, None]]))
    np.savez(ready / "outputs.npz", (integers[:, 0] + off) * quantization.scale[0])
    script = f'[ -n "$2" ] || {{ echo "{{}}"; exit; }}\ncp {ready}/* "$2"'
    monkeypatch.setenv(environment.VARIABLE, str(interpreter(tmp_path, script)))
    asked = QuantConfig(quantizer="esp_ppq", calibration="all")
    if outputs != "right":
        with pytest.raises(QuantizationError, match="gives other outputs than its executor, by up to"):
            quantize(network(0), asked, data, cache=Cache(tmp_path / "cache"), name="net")
        return
    made = quantize(network(0), asked, data, cache=Cache(tmp_path / "cache"), name="net")
    found = execute.run_batch(made.graph, [x[:, None]])[made.graph.outputs[0]]
    np.testing.assert_array_equal(found, integers)


def test_a_file_is_read_in_the_layout_of_its_source(tmp_path: Path) -> None:
    config = QuantConfig(quantizer="espdl", options={"target": "esp32s3"})
    model = quantize(network(0), config, samples(0), cache=Cache(tmp_path), name="net")
    x = RNG.integers(-128, 128, (6, 1, 3, 16, 16)).astype(np.int8)
    file = with_vectors(model.artefact, [x])
    made = as_source(qdq_of(file), [(1, 3, 16, 16)], [(1, 10)], TOLD)
    assert metadata(parse(made)) == TOLD
    ours, theirs = (read_onnx(each) for each in (model.artefact, made))
    assert theirs.tensors[theirs.inputs[0]].shape == (1, 3, 16, 16)
    found = [execute.run_batch(each, [x])[each.outputs[0]] for each in (ours, theirs)]
    np.testing.assert_array_equal(found[0], found[1])
    assert np.ptp(np.asarray(found[0]).astype(int)) > 20


def test_edges_that_are_not_those_of_the_source_are_refused(tmp_path: Path) -> None:
    config = QuantConfig(quantizer="espdl", options={"target": "esp32s3"})
    model = quantize(network(0), config, samples(0), cache=Cache(tmp_path), name="net")
    file = with_vectors(model.artefact, [np.zeros((1, 1, 3, 16, 16), np.int8)])
    with pytest.raises(QuantizationError, match=r"made \(1, 16, 16, 3\) of 'x', which has the shape \(1, 4,"):
        as_source(qdq_of(file), [(1, 4, 16, 16)], [(1, 10)], TOLD)
    with pytest.raises(QuantizationError, match="which has the shape"):
        as_source(qdq_of(file), [(1, 3, 16, 16)], [(1, 5, 2)], TOLD)

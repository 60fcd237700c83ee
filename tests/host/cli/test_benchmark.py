"""``quantcheck benchmark``: what a model takes, layer by layer, and on which targets it fits."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from conformance_models.shapes import model as shape
from pytest_quantcheck.cli import main
from pytest_quantcheck.demo.artefacts import CONFIGURATIONS, DATA
from pytest_quantcheck.demo.artefacts import FLOAT_MODEL as FLOAT_NAME
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.families import memories
from pytest_quantcheck.runners.benchmark import benchmark, random_vectors
from pytest_quantcheck.runners.prepare import summary_of
from tests.documents import read

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[3]
FLOAT_MODEL = DATA / FLOAT_NAME
ARTEFACTS = [DATA / f"digits-{config.id}.tflite" for config in CONFIGURATIONS]


@pytest.mark.parametrize("name", ["resnet8", "ds-cnn", "mobilenet", "autoencoder"])
def test_layers_add_up_to_the_model(name: str) -> None:
    found = benchmark(shape(name))
    tables = found.flash - sum(layer.flash for layer in found.layers)
    assert 0 < tables < 150 + 60 * len(found.layers), "a header, and a few records of tensors"
    assert sum(layer.macs for layer in found.layers) == found.macs
    assert max(layer.arena for layer in found.layers) <= found.arena <= found.ram


def test_a_layers_flash_holds_its_weights() -> None:
    made = shape("autoencoder")
    for layer, operator in zip(benchmark(made).layers, made.graph.operators, strict=True):
        if layer.kind == "FULLY_CONNECTED":
            weights = made.graph.tensors[operator.inputs[1]].nbytes
            outputs = layer.shape[-1]
            assert weights + 16 * outputs <= layer.flash < weights + 16 * outputs + 128


def test_every_target_is_judged_by_its_own_memory() -> None:
    found = benchmark(shape("mobilenet"))
    assert [use.target for use in found.targets] == list(memories())
    for use in found.targets:
        assert use.fits is (found.flash <= use.flash and found.ram <= use.ram)
    assert {use.fits for use in found.targets} == {True, False}


@pytest.mark.parametrize(
    ("port", "target", "pattern"),
    [
        ("stm32f4/stm32f4.ld", "stm32f405xg", r"_stack_bytes = (\d+)K;"),
        ("esp32c3/esp32c3.ld", "esp32c3", r"_stack_bottom = \.;\s+\. \+= (\d+)K;"),
    ],
)
def test_the_stack_is_what_the_linker_script_reserves(port: str, target: str, pattern: str) -> None:
    reserved = re.search(pattern, (ROOT / "firmware" / "ports" / port).read_text())
    assert reserved
    assert memories()[target].stack_kib == memories()[f"virtual-{target[:9]}"].stack_kib == int(reserved[1])


def test_a_target_that_was_named_and_is_too_small_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 1024), scale=0.1, zero_point=0)
    weights = np.ones((1024, 1024), np.int8)
    bias = np.zeros(1024, np.int32)
    y = writer.fully_connected(x, weights, bias, weight_scale=0.1, scale=0.1, zero_point=0)
    path = tmp_path / "wide.tflite"
    path.write_bytes(writer.finish([x], [y]))
    assert main(["benchmark", str(path), "--target", "stm32f401xe"]) == 1
    assert re.search(r"stm32f401xe +flash +\d+\.\d% of 256 KiB, .*: does not fit", capsys.readouterr().out)
    assert main(["benchmark", str(path), "--target", "esp32c3"]) == 0
    assert main(["benchmark", str(path)]) == 0, "nobody asked for the small one"


def test_the_document_holds_what_the_table_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "b.json"
    assert main(["benchmark", str(ARTEFACTS[0]), "--json", str(target)]) == 0
    printed, document = capsys.readouterr().out, read(target.read_text())
    assert document["random_calibration"] is False
    assert "measured" not in document
    assert len(document["layers"]) == 10
    for layer in document["layers"]:
        sizes = rf"{layer['macs']:,} +{layer['flash']:,} +{layer['arena']:,}"
        row = rf"^ *{layer['index']}  {layer['kind']} .* {sizes}$"
        assert re.search(row, printed, re.MULTILINE), layer
    assert f"{document['macs']:,} " in printed
    assert [use["target"] for use in document["targets"]] == list(memories())


def test_a_float_model_is_quantized_with_random_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "b.json"
    assert main(["benchmark", str(FLOAT_MODEL), "--json", str(target)]) == 0
    printed = capsys.readouterr()
    assert "accuracy is not judged" in printed.out
    assert "random samples" in printed.err
    found, calibrated = (
        json.loads(target.read_text()),
        benchmark(QuantizedModel("d", ARTEFACTS[0].read_bytes())),
    )
    assert found["random_calibration"] is True
    assert (found["macs"], found["arena_bytes"]) == (calibrated.macs, calibrated.arena)
    assert found["image_bytes"] == pytest.approx(calibrated.flash, rel=0.05)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--target", "z80"], "target 'z80' is not known; allowed: "),
        (["--json", "nowhere/b.json"], "there is no folder nowhere"),
        (["--board", "nobody"], "nobody"),
    ],
)
def test_wrong_usage_is_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", str(ARTEFACTS[0]), *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"no model", b"\x00" * 64])
def test_what_is_no_model_is_refused(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    assert main(["benchmark", str(path)]) == 2
    assert str(path) in capsys.readouterr().err
    assert main(["benchmark", str(tmp_path)]) == 2
    assert main(["benchmark", str(tmp_path / "none.tflite")]) == 2


@pytest.mark.parametrize("artefact", ARTEFACTS, ids=lambda path: path.stem)
def test_random_vectors_fit_every_input(artefact: Path) -> None:
    model = QuantizedModel("m", artefact.read_bytes())
    for tensor, array in zip(
        summary_of(model.artefact).input_tensors, random_vectors(model, 3).inputs, strict=True
    ):
        assert (array.dtype.name, array.shape) == (tensor.dtype, (3, *tensor.shape[1:]))
        assert len(np.unique(array)) > 10

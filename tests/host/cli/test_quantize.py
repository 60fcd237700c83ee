"""``quantcheck quantize``: the artefact, its manifest, and what is refused before the long work begins."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_quantcheck.cli import main
from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL, demo_samples
from pytest_quantcheck.graph.flatbuffer import read_summary
from pytest_quantcheck.quantizers.artefact import read_artefact
from pytest_quantcheck.quantizers.audit import granularity_of

pytestmark = pytest.mark.host

MODEL = str(DATA / FLOAT_MODEL)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with data in it, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QC_CACHE", str(tmp_path / "cache"))
    samples = demo_samples()
    np.savez(tmp_path / "digits.npz", x=samples.x, y=samples.y, ids=samples.names)
    return tmp_path


def test_artefact_and_manifest_are_what_the_options_say(here, capsys):
    options = ["--input-type", "uint8", "--output-type", "float32", "--granularity", "per_tensor"]
    options += ["--calibration", "count:20", "--seed", "4", "--data", "digits.npz"]
    assert main(["quantize", MODEL, "-o", "out.tflite", *options]) == 0
    model = read_artefact(here / "out.tflite")
    assert model.config.id == "tflite-u8-f32-pertensor-cal20-seed4"
    summary = read_summary(model.artefact)
    assert summary.input_tensors[0].dtype == "uint8"
    assert summary.output_tensors[0].dtype == "float32"
    assert granularity_of(summary) == "per_tensor"
    assert len(json.loads((here / "out.json").read_text())["calibration"]["ids"]) == 20
    told = capsys.readouterr().out
    assert model.sha256 in told
    assert "calibrated with 20 samples" in told
    assert "out.json" in told


def test_a_function_may_bring_model_and_data(here):
    (here / "quant_cli_user.py").write_text(
        f"from pytest_quantcheck.demo.artefacts import demo_samples\n"
        f"def network(): return {MODEL!r}\n"
        f"def data(): return demo_samples()\n"
    )
    arguments = ["quant_cli_user:network", "-o", "out.tflite", "--data", "quant_cli_user:data"]
    assert main(["quantize", *arguments, "--calibration", "count:3"]) == 0
    assert read_artefact(here / "out.tflite").manifest["source"]["file"] == FLOAT_MODEL


def test_random_calibration_says_what_it_is_good_for(here, capsys):
    arguments = ["--calibration", "random:5", "--input-range", "0", "1"]
    assert main(["quantize", MODEL, "-o", "out.tflite", *arguments]) == 0
    assert "accuracy cannot" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([MODEL, "-o", "out.tflite"], "no data was given"),
        ([MODEL, "-o", "out.bin"], "ends in .tflite"),
        ([MODEL, "-o", "no/folder/out.tflite"], "no folder"),
        (["net.tflite", "-o", "net.tflite"], "is the model itself"),
        (["absent.h5", "-o", "out.tflite"], "no model file"),
        ([MODEL, "-o", "out.tflite", "--data", "absent.npz"], "no data file"),
        ([MODEL, "-o", "out.tflite", "--calibration", "tenth"], "allowed: 10%"),
        ([MODEL, "-o", "out.tflite", "--calibration", "random"], "--input-range"),
        ([MODEL, "-o", "out.tflite", "--input-type", "int16"], "impossible with scheme='int8'"),
        ([MODEL, "-o", "out.tflite", "--granularity", "per_axis"], "invalid choice: 'per_axis'"),
        ([MODEL, "-o", "out.tflite", "--scheme", "int4"], "scheme='int4' is not known"),
        ([MODEL, "-o", "out.tflite", "--option", "bins"], "allowed: KEY=VALUE"),
        ([MODEL, "-o", "out.tflite", "--data", "digits.npz", "--seed", "-1"], "seed -1"),
        ([MODEL, "-o", "out.tflite", "--data", "digits.npz", "--calibration", "count:999"], "there are 540"),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing(here, capsys, arguments, words):
    (here / "net.tflite").write_bytes((DATA / FLOAT_MODEL).read_bytes())
    before = {p: p.read_bytes() for p in here.iterdir() if p.is_file()}
    assert main(["quantize", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert {p: p.read_bytes() for p in here.iterdir() if p.is_file()} == before

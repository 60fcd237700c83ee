"""``quantcheck quantize``: the artefact, its manifest, and what is refused before the long work begins."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from pytest_quantcheck.cli import main
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL, demo_samples
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.artefact import read_artefact
from pytest_quantcheck.quantizers.audit.tflite import granularity_of
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.prepare import dequantize_output

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
    assert len(json.loads((here / "out.tflite.json").read_text())["calibration"]["ids"]) == 20
    printed = capsys.readouterr()
    assert f"quantizing {MODEL} ..." in printed.err
    told = printed.out
    assert model.sha256 in told
    assert "calibrated with 20 samples" in told
    assert "out.tflite.json" in told


def test_labels_give_the_accuracy_of_the_float_and_the_quantized_model(here, capsys):
    assert main(["quantize", MODEL, "-o", "out.tflite", "--data", "digits.npz"]) == 0
    told = capsys.readouterr().out
    number = len(demo_samples())
    assert re.search(
        rf"  accuracy \d+\.\d\d% on {number} samples, float \d+\.\d\d%; \d+ lost, \d+ gained", told
    )


def test_labels_that_are_shifted_are_told(here, capsys):
    samples = demo_samples()
    np.savez(here / "shifted.npz", x=samples.x, y=(np.asarray(samples.y) + 1) % 10)
    assert main(["quantize", MODEL, "-o", "out.tflite", "--data", "shifted.npz"]) == 0
    told = capsys.readouterr().out
    assert "accuracy" in told
    assert re.search(r"  (warning|error): ", told)


def test_labels_that_do_not_fit_cost_the_score_and_not_the_artefact(here, capsys):
    samples = demo_samples()
    np.savez(here / "odd.npz", x=samples.x, y=np.full(len(samples), 10**6))
    assert main(["quantize", MODEL, "-o", "out.tflite", "--data", "odd.npz"]) == 0
    assert (here / "out.tflite").exists()


def test_a_folder_as_data_is_told_what_it_is_and_what_is_allowed(here, capsys):
    (here / "images").mkdir()
    assert main(["quantize", MODEL, "-o", "out.tflite", "--data", "images"]) == 2
    told = capsys.readouterr().err
    assert "images is a folder; say what lies in it: images:images, " in told


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


def test_without_data_the_range_is_assumed_aloud_and_accuracy_is_not_judged(here, capsys):
    assert main(["quantize", MODEL, "-o", "out.tflite"]) == 0
    told = capsys.readouterr().out
    assert "calibrated with 100 samples" in told
    assert "warning: Input 'image' is taken to reach from 0 to 1: an assumption" in told
    assert "--input-range" in told
    assert "accuracy cannot" in told
    assert "float 9" not in told
    model = read_artefact(here / "out.tflite")
    assert model.random_calibration
    assert read_summary(model.artefact).input_tensors[0].scales[0] == pytest.approx(1 / 255, rel=0.01)


def test_a_range_in_the_file_is_taken(here, capsys):
    """Pixels that the network itself scales to -1..1."""
    rescaled(here / "net.tflite", 1 / 127.5, -1.0)
    assert main(["quantize", "net.tflite", "-o", "out.tflite"]) == 0
    told = capsys.readouterr().out
    assert "note: Input 'pixels' is taken to reach from 0 to 255, from the scaling at the start" in told
    scale = read_summary((here / "out.tflite").read_bytes()).input_tensors[0].scales[0]
    assert scale == pytest.approx(1.0, rel=0.01)


def rescaled(path, factor: float, offset: float) -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 4, 4, 2), "float32", scale=None, name="pixels")
    parts = [writer.constant(np.array([v], np.float32), "float32") for v in (factor, offset)]
    scaled, moved = (writer.tensor((1, 4, 4, 2), "float32", scale=None) for _ in range(2))
    y = writer.tensor((1, 3), "float32", scale=None)
    weights = writer.constant(np.random.default_rng(0).normal(size=(3, 32)), "float32")
    bias = writer.constant(np.zeros(3, np.float32), "float32")
    writer.operator("MUL", [x, parts[0]], [scaled])
    writer.operator("ADD", [scaled, parts[1]], [moved])
    writer.operator("FULLY_CONNECTED", [moved, weights, bias], [y])
    path.write_bytes(writer.finish([x], [y]))


def unary(path, kind: str) -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 8), "float32", name="x")
    y = writer.tensor((1, 8), "float32", name="block_1/activation")
    writer.operator(kind, [x], [y])
    path.write_bytes(writer.finish([x], [y]))


def test_what_nothing_could_run_ends_with_1_and_names_layer_and_substitute(here, capsys):
    writer = TfliteWriter()
    x = writer.tensor((1, 8), "float32", name="x")
    largest = writer.tensor((1, 2), "float32", name="block_1/largest")
    places = writer.tensor((1, 2), "int32", name="block_1/places")
    writer.operator("TOPK_V2", [x, writer.constant(2)], [largest, places])
    (here / "net.tflite").write_bytes(writer.finish([x], [largest]))
    assert main(["quantize", "net.tflite", "-o", "out.tflite"]) == 1
    told = capsys.readouterr().out
    assert "TOPK_V2 is not supported: operator 0 (layer 'block_1/largest')" in told
    assert "compute it from the outputs in the application" in told
    assert "no runtime here could run it" in told
    assert (here / "out.tflite").exists()


def test_what_stays_in_float_is_named_with_layer_and_substitute(here, capsys):
    unary(here / "net.tflite", "ELU")
    assert main(["quantize", "net.tflite", "-o", "out.tflite"]) == 2
    told = capsys.readouterr().err
    assert "operator 1 (ELU) computes in float (layer 'block_1/activation" in told
    assert "take leaky_relu" in told


def test_an_output_of_places_has_no_type_to_ask_for(here):
    writer = TfliteWriter()
    x = writer.tensor((1, 8), "float32", name="x")
    y = writer.arg_extreme("ARG_MAX", x, 1)
    (here / "net.tflite").write_bytes(writer.finish([x], [y]))
    assert main(["quantize", "net.tflite", "-o", "out.tflite"]) == 0
    model = QuantizedModel("out", (here / "out.tflite").read_bytes())
    run = IntegerRunner().run(model, Samples(np.eye(8, dtype=np.float32)[[2, 7, 0]]))
    assert dequantize_output(model, run.outputs[0]).ravel().tolist() == [2, 7, 0]


def test_what_only_tflm_runs_is_told_so(here, capsys):
    unary(here / "net.tflite", "LOG_SOFTMAX")
    assert main(["quantize", "net.tflite", "-o", "out.tflite"]) == 0
    assert "runs with tflm only, not on our firmware" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["image", "0", "arr_0"])
def test_data_take_names_as_run_does(here, key):
    np.savez(here / "named.npz", **{key: demo_samples().x})
    assert main(["quantize", MODEL, "-o", "out.tflite", "--data", "named.npz"]) == 0
    assert main(["quantize", MODEL, "-o", "usual.tflite", "--data", "digits.npz"]) == 0
    assert (here / "out.tflite").read_bytes() == (here / "usual.tflite").read_bytes()


def test_data_without_the_models_input_say_what_they_hold(here, capsys):
    np.savez(here / "odd.npz", other=demo_samples().x)
    assert main(["quantize", MODEL, "-o", "out.tflite", "--data", "odd.npz"]) == 2
    assert "holds no x; it has: other" in capsys.readouterr().err


def test_convergence_shows_from_how_many_samples_on_nothing_moves(here, capsys):
    samples = demo_samples()
    parts = {"calibration": samples.take(range(25)), "test": samples.take(range(25, 60))}
    arrays = {f"{part}_{key}": getattr(s, key) for part, s in parts.items() for key in ("x", "y", "ids")}
    np.savez(here / "whole.npz", **arrays)
    arguments = [MODEL, "-o", "out.tflite", "--data", "whole.npz", "--convergence", "figure.svg"]
    assert main(["quantize", *arguments]) == 0
    told = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in told if line[:8].strip().isdigit()]
    assert [row[0] for row in rows] == ["1", "2", "5", "10", "20", "25"]
    deviations = [float(row[1].rstrip("%")) for row in rows]
    assert deviations[0] > 10 > deviations[-1] == 0
    assert all(float(row[3].rstrip("%")) > 80 for row in rows)
    assert any("within 5% of that with all 25" in line for line in told)
    root = ElementTree.fromstring((here / "figure.svg").read_text())
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([MODEL, "-o", "out.tflite", "--calibration", "all"], "no data was given"),
        ([MODEL, "-o", "out.bin"], "ends in .tflite"),
        ([MODEL, "-o", "no/folder/out.tflite"], "no folder"),
        (["net.tflite", "-o", "net.tflite"], "is the model itself"),
        (["absent.h5", "-o", "out.tflite"], "no model file"),
        ([MODEL, "-o", "out.tflite", "--data", "absent.npz"], "no data file"),
        ([MODEL, "-o", "out.tflite", "--calibration", "tenth"], "allowed: 10%"),
        ([MODEL, "-o", "out.tflite", "--input-type", "int16"], "impossible with scheme='int8'"),
        ([MODEL, "-o", "out.tflite", "--granularity", "per_axis"], "invalid choice: 'per_axis'"),
        ([MODEL, "-o", "out.tflite", "--scheme", "int4"], "scheme='int4' is not known"),
        ([MODEL, "-o", "out.tflite", "--option", "bins"], "allowed: KEY=VALUE"),
        ([MODEL, "-o", "out.tflite", "--data", "digits.npz", "--convergence", "x.png"], "ends in .svg"),
        (
            [MODEL, "-o", "out.tflite", "--calibration", "random", "--convergence", "x.svg"],
            "nothing to converge to",
        ),
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

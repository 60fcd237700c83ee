"""``quantcheck explain``: every stage of one model, and why it loses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pytest_quantcheck.cli import main
from pytest_quantcheck.demo.artefacts import DATA, demo_models, demo_samples
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.report.json import SCHEMAS
from tests import documents

pytestmark = pytest.mark.host


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    samples = demo_samples().take(range(100))
    x, y = samples.inputs[0], np.asarray(samples.labels)
    (tmp_path / "digits.tflite").write_bytes((DATA / "digits.tflite").read_bytes())
    (tmp_path / "m.tflite").write_bytes(demo_models()[0].artefact)
    np.savez(tmp_path / "d.npz", calibration_x=x, calibration_y=y, test_x=x, test_y=y)
    np.savez(tmp_path / "bright.npz", calibration_x=x, calibration_y=y, test_x=255 * x, test_y=y)
    return tmp_path


def explain(folder: Path, data: str, *options: str) -> int:
    return main(["explain", str(folder / "m.tflite"), "--data", str(folder / data), *options])


def test_a_sound_model_needs_no_explanation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(folder, "d.npz", "--float", str(folder / "digits.tflite")) == 0
    out = capsys.readouterr().out
    assert "right class, 100 samples" in out
    assert "  9 SOFTMAX" in out
    assert out.splitlines()[-1] == "nothing to explain: quantizing costs less than 2% here"


def test_the_float_model_may_be_a_keras_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: extra tensorflow")
    from conformance_models import digits

    digits.float_model().save(folder / "digits.keras")
    assert explain(folder, "d.npz", "--float", str(folder / "digits.keras")) == 0
    assert "  float model                           98.0%  (98 of 100)" in capsys.readouterr().out


def test_a_cause_is_named_and_written_as_a_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = folder / "r.json"
    options = "--float", str(folder / "digits.tflite"), "--json", str(report)
    assert explain(folder, "bright.npz", *options) == 1
    out = capsys.readouterr().out
    assert "likely cause: the samples should be divided by 255\nevidence: " in out
    assert "what to do: " in out
    assert "<- the first that collapses" in out
    found = documents.read(report.read_text(encoding="utf-8"))
    assert found["schema"] == SCHEMAS["explain"]
    assert [each["code"] for each in found["causes"]] == ["preprocessing"]
    assert found["collapse"]["kind"] == "CONV_2D"
    assert [stage["total"] for stage in found["stages"]] == [100, 100, 100]
    assert not found["sound"]


def test_without_a_float_model_the_network_in_real_numbers_is_the_measure(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(folder, "d.npz") == 0
    assert "  network in real numbers" in capsys.readouterr().out


def test_a_network_that_cannot_be_computed_is_explained_by_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 4, 4, 2), scale=1 / 64, name="input")
    block, none = writer.constant([2, 2]), writer.constant([[0, 0], [0, 0]])
    split = writer.tensor((6, 2, 2, 2), scale=1 / 64)  # two batches too many
    writer.operator("SPACE_TO_BATCH_ND", [x, block, none], [split])
    out = writer.tensor((1, 4, 4, 2), scale=1 / 64)
    writer.operator("BATCH_TO_SPACE_ND", [split, block, none], [out])
    (tmp_path / "m.tflite").write_bytes(writer.finish([x], [out]))
    np.save(tmp_path / "x.npy", np.zeros((3, 4, 4, 2), np.float32))
    report = tmp_path / "r.json"
    assert explain(tmp_path, "x.npy", "--json", str(report)) == 1
    out_text = capsys.readouterr().out
    assert "the network cannot be computed here: " in out_text
    assert "likely cause: operator 0 is SPACE_TO_BATCH_ND" in out_text
    assert json.loads(report.read_text(encoding="utf-8"))["layers"] == []


def test_samples_that_the_model_does_not_answer_to_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 4, 4, 2), scale=1 / 64, name="input")
    out = writer.relu(x, scale=1 / 64, zero_point=0)
    (tmp_path / "m.tflite").write_bytes(writer.finish([x], [out]))
    np.save(tmp_path / "x.npy", np.zeros((3, 4, 4, 2), np.float32))
    assert explain(tmp_path, "x.npy") == 2
    assert "the float outputs are 0 for all of these samples" in capsys.readouterr().err


@pytest.mark.parametrize("options", [("--vectors", "0"), ("--float", "nowhere.tflite")], ids=str)
def test_wrong_usage_is_refused(folder: Path, options: tuple[str, str]) -> None:
    assert explain(folder, "d.npz", *options) == 2

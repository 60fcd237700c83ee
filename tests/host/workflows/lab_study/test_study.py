"""The lab on the network of its page: the files, and numbers that are computed again from them."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from pytest_quantcheck.cli import main
from tests.pages import blocks

pytestmark = pytest.mark.host

PAGE = Path(__file__).parents[4] / "docs" / "commands" / "study.md"
FRACTIONS = ("0.01", "0.08", "0.3", "0.8")
TASKS = ("native", "tflite-fp32", *(f"tflite-int8-{f}" for f in FRACTIONS), "tflite-imbint8")
SUFFIXES = dict(zip(TASKS[1:], (".fp32", *(f".int8-{f}" for f in FRACTIONS), ".imbint8"), strict=True))


@dataclass(frozen=True)
class Lab:
    folder: Path
    code: int
    printed: str

    @property
    def summary(self) -> str:
        return (self.folder / "results" / "summary.md").read_text()

    def artefact(self, task: str) -> Path:
        return self.folder / "results" / f"textures{SUFFIXES[task]}.tflite"

    def outputs(self, task: str) -> np.ndarray:
        """Of LiteRT, whatever the study did: real values in, raw outputs."""
        interpreter = Interpreter(str(self.artefact(task)))
        interpreter.allocate_tensors()
        given, wanted = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        made = []
        for x in self.data["test_x"]:
            if given["dtype"] == np.int8:
                scale, zero = given["quantization"]
                steps = np.float32(x) / np.float32(scale)
                x = np.clip(np.copysign(np.floor(np.abs(steps) + np.float32(0.5)), steps) + zero, -128, 127)
            interpreter.set_tensor(given["index"], x[None].astype(given["dtype"]))
            interpreter.invoke()
            made.append(interpreter.get_tensor(wanted["index"])[0].copy())
        return np.stack(made)

    @property
    def data(self) -> dict[str, np.ndarray]:
        with np.load(self.folder / "textures.npz") as stored:
            return dict(stored)

    def row(self, task: str) -> list[str]:
        found = next(line for line in self.summary.splitlines() if line.startswith(f"| {task} |"))
        return [cell.strip() for cell in found.strip("|").split("|")]

    def metrics(self, task: str) -> dict[str, float]:
        text = (self.folder / "results" / f"{task}-metrics.md").read_text()
        first, *lines = text.split("\n* ")
        assert first == f"Model type: {task}\n"
        pairs = [line.removesuffix("\n").removesuffix(" ms").split(": ") for line in lines]
        return {name: float(value) for name, value in pairs}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The whole study of the page, once."""
    folder = tmp_path_factory.mktemp("lab")
    script = next(block for block in blocks(PAGE) if block.title == "textures.py")
    subprocess.run(
        [sys.executable, "-c", script.text], cwd=folder, check=True, capture_output=True, timeout=300
    )
    told = io.StringIO()
    options = ["--model-path", str(folder / "textures.h5"), "--dataset-root", str(folder / "textures.npz")]
    options += ["--results-path", str(folder / "results"), "--max-drop", "0.05", "--threads", "1"]
    with contextlib.redirect_stdout(told):
        code = main(["study", *options, "--cache", str(folder / "cache")])
    return Lab(folder, code, told.getvalue())


def test_the_files_have_the_names_that_the_lab_documents(lab: Lab) -> None:
    written = {path.name for path in (lab.folder / "results").iterdir()}
    wanted = {f"{task}-{kind}" for task in TASKS for kind in ("metrics.md", "confusion-matrix.png")}
    models = {lab.artefact(task).name for task in SUFFIXES}
    assert written == wanted | models | {f"{name}.json" for name in models} | {"summary.md"}
    assert all(
        (lab.folder / "results" / name).read_bytes()[:4] == b"\x89PNG" for name in wanted if "png" in name
    )
    assert all(str(lab.folder / "results" / name) in lab.printed for name in wanted | models)


@pytest.mark.parametrize("task", [task for task in TASKS if task != "native"])
def test_metrics_and_the_summarys_row_are_those_of_the_artefact(lab: Lab, task: str) -> None:
    truth, named = lab.data["test_y"], lab.outputs(task).argmax(axis=1)
    recalls = recall_score(truth, named, average=None)
    expected = {
        "Accuracy": float(np.mean(named == truth)),
        "Mean precision": precision_score(truth, named, average="macro", zero_division=0),
        "Mean sensitivity": recalls.mean(),
        "G-Mean": recalls.prod() ** (1 / len(recalls)),
    }
    found = lab.metrics(task)
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-12)
    row = lab.row(task)
    assert row[2:6] == [f"{value:.2%}" for value in expected.values()]
    assert row[8:] == [
        row[8],
        f"{found['Mean inference time']:.3f}",
        row[10],
        f"{lab.artefact(task).stat().st_size:,}",
    ]
    float_right = lab.outputs("tflite-fp32").argmax(axis=1) == truth
    flips = np.sum(float_right & (named != truth)), np.sum(~float_right & (named == truth))
    assert row[7] == "{} / {}".format(*flips)


def test_precision_and_sensitivity_are_not_exchanged(lab: Lab) -> None:
    """The worst model tells them apart: it names few classes, and those often."""
    found = lab.metrics("tflite-imbint8")
    table = confusion_matrix(lab.data["test_y"], lab.outputs("tflite-imbint8").argmax(axis=1))
    assert found["Mean sensitivity"] == pytest.approx(np.mean(np.diag(table) / table.sum(axis=1)))
    assert found["Mean precision"] == pytest.approx(
        np.mean(np.diag(table) / np.maximum(table.sum(axis=0), 1))
    )
    assert abs(found["Mean precision"] - found["Mean sensitivity"]) > 0.02


def test_the_native_model_is_the_float_one(lab: Lab) -> None:
    native, single = lab.metrics("native"), lab.metrics("tflite-fp32")
    timed = "Mean inference time"
    assert {**native, timed: 0} == {**single, timed: 0}
    assert lab.row("native")[7] == "0 / 0"
    difference = re.search(r"largest difference of any output value is (\S+)\.\n", lab.summary)
    assert difference
    assert 0 <= float(difference[1]) < 1e-4


def test_parameters_sizes_and_calibration_are_counted(lab: Lab) -> None:
    assert "Parameters in total: 1,640" in lab.summary  # 48 * 5 * 5 + 48 + 48 * 8 + 8
    assert [lab.row(task)[1] for task in TASKS] == [
        "-", "-", "8 samples", "64 samples", "240 samples", "640 samples", "100 samples",
    ]  # fmt: skip
    before, after = (lab.artefact(task).stat().st_size for task in ("tflite-fp32", "tflite-int8-0.01"))
    assert re.search(rf"Size: \S+ bytes against {before:,}: {before / after:.2f} times smaller", lab.summary)


def test_one_class_is_visibly_worse_and_the_gate_says_so(lab: Lab) -> None:
    assert lab.code == 1
    assert "6 passed, 1 failed" in lab.printed
    drop = lab.metrics("tflite-fp32")["Accuracy"] - lab.metrics("tflite-imbint8")["Accuracy"]
    assert drop > 0.3
    assert f"tflite-imbint8: max_drop: FAILED: accuracy dropped by {drop:.2%}, limit 5.00%" in lab.printed
    best = max(lab.metrics(f"tflite-int8-{f}")["Accuracy"] for f in FRACTIONS)
    worse = best - lab.metrics("tflite-imbint8")["Accuracy"]
    assert f"It is worse by {100 * worse:.2f} percentage points" in lab.summary
    assert f"max\\_drop: FAILED: accuracy dropped by {drop:.2%}" in lab.summary.replace(
        "max_drop", "max\\_drop"
    )


def test_the_evidence_for_clipped_inputs_is_counted(lab: Lab) -> None:
    told = re.search(r"input values of the test (\S+)% lie at the ends.*\(\S+: (\S+)%\)", lab.summary)
    assert told
    interpreter = Interpreter(str(lab.artefact("tflite-imbint8")))
    scale, zero = interpreter.get_input_details()[0]["quantization"]
    raw = np.rint(lab.data["test_x"] / scale) + zero
    assert float(told[1]) == pytest.approx(100 * np.mean((raw <= -128) | (raw >= 127)), abs=0.05)
    assert float(told[2]) < float(told[1]) / 4


def test_a_part_of_the_test_set_is_named_as_such_and_without_a_gate_nothing_fails(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that is no Keras file has everything but the native row."""
    options = [
        "--model-path",
        str(lab.artefact("tflite-fp32")),
        "--dataset-root",
        str(lab.folder / "textures.npz"),
    ]
    options += ["--results-path", str(tmp_path / "new" / "results"), "--test-dataset-fraction", "0.1"]
    options += [
        "--tasks",
        "native",
        "tflite-imbint8",
        "--one-class",
        "2",
        "--cache",
        str(lab.folder / "cache"),
    ]
    assert main(["study", *options]) == 0
    told = capsys.readouterr().out
    assert "left out: native" in told
    assert "no accuracy gate is set: --max-drop" in told
    text = (tmp_path / "new" / "results" / "summary.md").read_text()
    assert "tested on 40 of 400 test samples, so all numbers are of this part only" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tasks", "tflite-int4"], "--tasks tflite-int4: no such task; allowed: native, tflite-fp32"),
        (["--tasks", "tflite-int8-1.5"], "above 0 and up to 1"),
        (["--test-dataset-fraction", "0"], "--test-dataset-fraction 0: allowed: above 0"),
        (["--max-drop", "5"], "--max-drop 5: allowed: a fraction from 0 to 1"),
        (["--threads", "0"], "--threads 0: allowed"),
        (["--tasks", "native"], "no Keras file"),
        (["--tasks", "tflite-imbint8", "--one-class", "9"], "no calibration sample is of that class"),
        (["--dataset-root", "x.npy"], "samples to calibrate with and others to test with"),
        (["--results-path", "x.npy"], "is a file; give a folder"),
    ],
)
def test_wrong_usage_is_refused(lab, tmp_path, monkeypatch, capsys, options, words) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", lab.data["test_x"])
    usual = [
        "--model-path",
        str(lab.artefact("tflite-fp32")),
        "--dataset-root",
        str(lab.folder / "textures.npz"),
    ]
    usual += ["--results-path", "results", "--cache", str(lab.folder / "cache")]
    assert main(["study", *usual, *options]) == 2
    assert words in capsys.readouterr().err
    assert not Path("results").exists()

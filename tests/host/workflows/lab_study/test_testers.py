"""A student's classes: right ones pass, and each mistake is named. The network is that of the lab's page."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.cli import main
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workflows.lab_study.checked import Checked
from pytest_quantcheck.workflows.lab_study.study import Study, study
from pytest_quantcheck.workflows.lab_study.tasks import tasks
from pytest_quantcheck.workflows.lab_study.testers.check import check_testers
from pytest_quantcheck.workflows.lab_study.testers.lab_data import LabData
from tests.pages import blocks

pytestmark = pytest.mark.host

HERE = Path(__file__).parent
PAGE = HERE.parents[3] / "docs" / "commands" / "study.md"
SOLUTION = (HERE / "solution.py").read_text()
TASKS = ["native", "tflite-fp32", "tflite-int8-0.08", "tflite-imbint8"]


@dataclass(frozen=True)
class Lab:
    folder: Path
    study: Study

    def check(self, text: str, name: str = "theirs.py") -> dict[str, Checked]:
        file = self.folder / name
        file.write_text(text)
        found = check_testers(
            self.study,
            file,
            model_path=self.folder / "textures.h5",
            root="textures.npz",
            base=self.folder,
            results=self.folder / "results",
        )
        return {each.task: each for each in found}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    folder = tmp_path_factory.mktemp("testers")
    script = next(block for block in blocks(PAGE) if block.title == "textures.py")
    subprocess.run(
        [sys.executable, "-c", script.text], cwd=folder, check=True, capture_output=True, timeout=300
    )
    made = study(
        "textures.h5",
        "textures.npz",
        tasks(TASKS, "5"),
        base=folder,
        fraction=0.25,
        cache=Cache(folder / "cache"),
    )
    return Lab(folder, made)


def changed(*pairs: tuple[str, str]) -> str:
    text = SOLUTION
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    return text


def failed(checked: Checked) -> dict[str, str]:
    return {each.name: each.text for each in checked.row.criteria if each.passed is False}


def test_a_right_solution_passes_and_scores_as_the_lab_does(lab: Lab) -> None:
    found = lab.check(SOLUTION)
    assert [(each.name, each.row.outcome) for each in found.values()] == [
        ("NativeModel", "pass"),
        ("FP32Model", "pass"),
        ("INT8Model", "pass"),
        ("ImbalancedINT8Model", "pass"),
    ], [each.row for each in found.values()]
    for task, each in found.items():
        ours = lab.study.of(task)
        assert each.quality is not None
        assert ours is not None
        assert each.quality.accuracy == pytest.approx(ours.quality.accuracy, abs=0.05)
        assert each.mean_ms > 0
    texts = {each.name: each.text for each in found["tflite-imbint8"].row.criteria}
    assert texts["calibration"] == "100 samples of class 5"
    written = {path.name for path in (lab.folder / "results" / "testers").iterdir()}
    assert written == {"textures.fp32.tflite", "textures.int8-0.08.tflite", "textures.imbint8.tflite"}


INT8, ONE = "tflite-int8-0.08", "tflite-imbint8"


@pytest.mark.parametrize(
    ("pairs", "task", "criterion", "told"),
    [
        (
            [("(self.model.get_tensor(details[\"index\"]).astype(np.float32) - zero_point) * scale",
              "self.model.get_tensor(details[\"index\"])")],
            INT8, "outputs", "the output is not dequantized",
        ),
        (
            [("np.clip(np.round(x / scale + zero_point), -128, 127).astype(np.int8)", "x.astype(np.int8)")],
            INT8, "outputs", "the input is not quantized, only cast to int8",
        ),
        ([("x / scale + zero_point", "x / scale")], INT8, "outputs", "the input's zero point is not added"),
        (
            [("converter.inference_input_type = converter.inference_output_type = tf.int8", "pass"),
             ("np.clip(np.round(x / scale + zero_point), -128, 127).astype(np.int8)", "x")],
            INT8, "artefact", "",
        ),
        ([("self.calibrationdatasetpercent, 1234", "0.5, 1234")], INT8, "calibration",
         "optimize_model took 400 samples of 8 classes; the task asks for 64 samples of 8 classes"),
        ([("if y == 5", "if y == 4")], ONE, "calibration",
         "optimize_model took 100 samples of class 4; the task asks for 100 samples of class 5"),
        ([("zip(self.dataset.dataX, self.dataset.dataY", "zip(self.dataset.testX, self.dataset.testY")],
         ONE, "calibration", "optimize_model took 50 test samples"),
        ([("        self.model.invoke()", "        raise NotImplementedError")], INT8, "runs",
         "run_inference, line "),
    ],
    ids=["raw", "cast", "zero", "float-edges", "part", "class", "leak", "unfinished"],
)  # fmt: skip
def test_each_mistake_is_named(
    lab: Lab, pairs: list[tuple[str, str]], task: str, criterion: str, told: str
) -> None:
    found = lab.check(changed(*pairs))
    assert told in failed(found[task])[criterion]
    assert found[task].row.outcome == "regression"
    assert found["native"].row.outcome == "pass", "what is right stays right"


def test_an_input_that_is_cut_off_is_told_and_passes(lab: Lab) -> None:
    found = lab.check(changed(("np.round(x / scale + zero_point)", "x / scale + zero_point")))
    assert found[INT8].row.outcome == "pass"
    assert "np.round is missing" in found[INT8].row.findings[0]


def test_a_class_that_is_not_there_fails_and_none_at_all_is_an_error(lab: Lab) -> None:
    found = lab.check(changed(("class ImbalancedINT8Model", "class Later")))
    assert found[ONE].row.outcome == "regression"
    with pytest.raises(UsageError, match="no class with the base ModelTester is called NativeModel, FP32"):
        lab.check("class FP32Model: pass\n")


def test_a_file_that_never_ends_is_ended(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QC_CONVERSION_S", "2")
    with pytest.raises(UsageError, match=r"did not end within 2 s; raise the limit .* QC_CONVERSION_S"):
        lab.check("while True: pass\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import no_such_package\n", "No module named 'no_such_package'"),
        ("raise SystemExit(3)\n", "exit code 3"),
        ("def (\n", "SyntaxError"),
        ("import os\nos._exit(0)\n", "exit code 0"),
    ],
)
def test_a_file_that_cannot_be_run_is_an_error_with_its_last_words(lab: Lab, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        lab.check(text)


def test_nothing_is_run_without_trust(tmp_path: Path) -> None:
    file = tmp_path / "theirs.py"
    file.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    told = io.StringIO()
    options = ["--model-path", "m.h5", "--dataset-root", "d.npz", "--results-path", str(tmp_path / "r")]
    with contextlib.redirect_stderr(told):
        assert main(["study", *options, "--tester", str(file)]) == 2
    assert "--trust" in told.getvalue()
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.py"]


def test_the_data_offer_what_the_courses_classes_call() -> None:
    x = np.arange(40, dtype=np.float32).reshape(40, 1)
    y = np.arange(40) % 4
    data = LabData(
        Dataset(Samples(x, y), Samples(x[:8], y[:8]), classes=("a", "b", "c", "d")),
        ([f"n{i}" for i in range(40)], [f"t{i}" for i in range(8)]),
    )
    rest, part, rest_y, part_y = data.split_dataset(0.25)
    assert sorted(rest + part) == sorted(data.dataX)
    assert sorted(part_y) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert len(rest_y) == len(rest)
    assert [x.shape for (x,) in data.calibration_dataset_generator(0.25, 1)] == [(1, 1)] * 12
    assert len(data.prepared) == 12
    assert not data.seen
    assert data.prepare_input_sample("t3").tolist() == [[3.0]]
    assert data.seen == {"000003"}
    data.evaluate(np.array([[0.1, 0.7, 0.2, 0.0]]), data.prepare_output_sample(1))
    assert (data.confusion_matrix[1, 1], data.top_5_count, data.total) == (1, 1, 1)
    assert data.get_class_names() == ["a", "b", "c", "d"]

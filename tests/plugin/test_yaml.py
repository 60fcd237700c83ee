"""Model-Zoo configurations as test files, run whole: every block that the Model Zoo documents, and others."""

from __future__ import annotations

import csv
import glob
import hashlib
import json
import os
import random
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from pytest_quantcheck.report import mlflow
from pytest_quantcheck.rig.families import memories
from tests.plugin.conftest import BOARDS

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]
FILES = Path(__file__).parent / "model_zoo"
CONFTEST = """\
from pathlib import Path
from tests import zoo_data
if not list(Path(__file__).parent.glob("*.onnx")):
    zoo_data.{make}(Path(__file__).parent)
"""
NOTHING = {  # nothing calibrates, and nothing evaluates
    "people": {"quantization_path: squares/train": "quantization_path:"},
    "sounds": {"training_audio_path: sounds\\audio": "training_audio_path:", "sounds\\esc.csv": ""},
}
TEST = {
    "people": {"test_path:": "test_path: squares/test"},
    "sounds": {
        "test_audio_path:": "test_audio_path: test_sounds/audio",
        "test_csv_path:": "test_csv_path: test_sounds/esc.csv",
    },
}
ONNX = {
    "TFlite_converter": "Onnx_quantizer",
    "tones.h5": "tones.onnx",
    "colours.h5": "colours.onnx",
    "squares.h5": "squares.onnx",
    "optimize: True": "optimize: False",
}


def variant(name: str, mode: str, *changes: dict[str, str]) -> str:
    """A configuration in another mode, with words changed."""
    text = (FILES / f"{name}.yaml").read_text()
    old = next(line for line in text.splitlines() if line.startswith("operation_mode"))
    text = text.replace(old, f"operation_mode: {mode}")
    for before, after in (pair for each in changes for pair in each.items()):
        text = text.replace(before, after)
    return text


def documented(name: str) -> dict[str, str]:
    """The configuration of one documented page in its modes, with and without data."""
    nothing, test = NOTHING[name], TEST[name]
    return {
        f"{name}_quantization": variant(name, "quantization"),
        f"{name}_quantization_random": variant(name, "quantization", nothing),
        f"{name}_eqe": variant(name, "chain_eqe", test),
        f"{name}_eqe_random": variant(name, "chain_eqe", nothing, test),
        f"{name}_eqe_nothing": variant(name, "chain_eqe", nothing),
        f"{name}_qb": variant(name, "chain_qb"),
        f"{name}_qb_random": variant(name, "chain_qb", nothing),
    }


CONFIGURATIONS = {
    **documented("people"),
    **documented("sounds"),
    "onnx_people_quantization": variant("people", "quantization", ONNX),
    "onnx_people_eqe": variant("people", "chain_eqe", ONNX, TEST["people"]),
    "onnx_people_qb_random": variant("people", "chain_qb", ONNX, NOTHING["people"]),
    "onnx_sounds_eqe": variant("sounds", "chain_eqe", ONNX),
    "onnx_sounds_qb_random": variant("sounds", "chain_qb", ONNX, NOTHING["sounds"]),
    "onnx_colours_eqeb": variant("colours", "chain_eqeb", ONNX),
    "onnx_colours_quantization": variant("colours", "quantization", ONNX),
    "colours": variant("colours", "chain_eqeb"),
    "squares": variant("squares", "chain_eqe"),
    "squares_single": variant("squares", "chain_eqe", {"anchored.keras": "single.keras"}),
    "squares_compat": variant(
        "squares",
        "chain_eqe",
        {"test_path": "quantization_split: 0.4\n  seed: 0\n  test_path"},
        {"max_drop: 0.1": "compat: modelzoo"},
    ),
    "version_4": variant("version_4", "chain_eqeb"),
}
DARK = {"quantization_split": "quantization_path: dark\n  quantization_split"}
FAILING = {
    "dark": variant(
        "colours", "chain_eqe", ONNX, {"quantization_split": "quantization_path: dark\n  quantization_split"}
    ),
    "large": variant("colours", "chain_qb", ONNX, {"flash_kib: 16": "flash_kib: 0.5"}),
    "damaged": variant("sounds", "chain_eqe", ONNX, {"sounds\\": "damaged\\"}, TEST["sounds"]),
}


@dataclass
class Finished:
    """A run that is over: what it printed, its folder, and the rows of its report by file and step."""

    code: int
    text: str
    folder: Path
    rows: dict[tuple[str, str], dict[str, Any]]

    def runs(self, parent: str = "experiments_outputs") -> dict[str, Path]:
        """The folders of runs, by the name of the configuration that follows the time; the first has none."""
        return {path.name[20:]: path for path in (self.folder / parent).iterdir()}

    def outcomes(self, file: str) -> dict[str, str]:
        """What became of each step of a file."""
        return {step: row["outcome"] for (name, step), row in self.rows.items() if name == file}


def run(folder: Path, *arguments: str) -> Finished:
    """pytest in a folder, as somebody at a terminal has it."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    options = ("-q", "-p", "no:cacheprovider", f"--qc-report=json={report}", f"--qc-cache={folder / 'cache'}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "200"}
    environment.pop("QC_RIG", None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    rows = json.loads(report.read_text())["results"] if report.exists() else []
    return Finished(done.returncode, done.stdout + done.stderr, folder, {key_of(row): row for row in rows})


def key_of(row: dict[str, Any]) -> tuple[str, str]:
    file, _, step = row["test"].partition("::")
    return file.removesuffix(".yaml"), step


def prepare(folder: Path, make: str, configurations: dict[str, str]) -> list[str]:
    """A folder with configurations and what they name; the names of the files."""
    (folder / "conftest.py").write_text(CONFTEST.format(make=make))
    for name, text in configurations.items():
        (folder / f"{name}.yaml").write_text(text)
    return [f"{name}.yaml" for name in configurations]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """All configurations in one run."""
    folder = tmp_path_factory.mktemp("zoo")
    return run(folder, *prepare(folder, "everything", CONFIGURATIONS))


def test_every_documented_configuration_runs_and_passes(finished: Finished) -> None:
    assert finished.code == 0, finished.text
    assert {file for file, _ in finished.rows} == CONFIGURATIONS.keys()
    steps = {"quantization": 1, "chain_qb": 2, "chain_eqe": 3, "chain_eqeb": 4}
    for name, text in CONFIGURATIONS.items():
        mode = text.partition("operation_mode: ")[2].split()[0]
        outcomes = finished.outcomes(name)
        assert len(outcomes) == steps[mode], name
        assert outcomes["quantize"] == "pass", name
        assert set(outcomes.values()) <= {"pass", "unjudged"}, name


def test_detectors_sounds_and_images_are_scored_as_such(finished: Finished) -> None:
    def score(file: str) -> tuple[str, float]:
        (first, *_) = finished.rows[file, "evaluate_quantized"]["scores"]
        return first["metric"], first["value"]

    assert score("people_eqe") == score("onnx_people_eqe") == ("map", 1.0)
    assert score("squares") == score("squares_single") == ("map40", 1.0), (
        "postprocessing.IoU_eval_thresh is 0.4"
    )
    assert score("sounds_eqe") == score("onnx_sounds_eqe") == ("clip_accuracy", 1.0)
    assert score("version_4") == score("colours") == score("onnx_colours_eqeb") == ("accuracy", 1.0)
    assert finished.outcomes("colours")["evaluate_quantized"] == "pass", "there is a max_drop"
    assert finished.outcomes("colours")["benchmark"] == "pass", "there is a budget"


def test_random_calibration_is_not_scored(finished: Finished) -> None:
    for name in ("people_eqe_random", "sounds_eqe_random"):
        row = finished.rows[name, "evaluate_quantized"]
        assert row["scores"] == []
        assert "the calibration was random" in row["criteria"][0]["text"]
        assert finished.rows[name, "evaluate_float"]["scores"], "the float model is"
    exact = finished.rows["people_eqe_nothing", "evaluate_quantized"]
    assert (exact["exact"], exact["outcome"]) == (True, "pass"), "without data integers are compared"


def test_the_last_lines_say_where_no_gate_is_set(finished: Finished) -> None:
    *_, last, ended = finished.text.strip().splitlines()
    assert "passed" in ended
    lines = [line for line in finished.text.splitlines() if "no accuracy gate is set" in line]
    assert len(lines) == 1
    assert "people_quantization.yaml, " in lines[0]
    assert "onnx_colours_quantization.yaml: quantcheck.max_drop is not judged: quantization measures" in last


def test_everything_lands_where_the_configuration_says(finished: Finished) -> None:
    runs = finished.runs()
    runs.pop("", None)  # of the first configuration, and of MLflow's own folder
    assert len(runs) == len(CONFIGURATIONS) - 4, "three configurations name another folder"
    folder = runs["people_eqe"]
    assert (folder / ".hydra" / "config.yaml").read_text().startswith("operation_mode: chain_eqe\n")
    model = folder / "quantized_models" / "quantized_model.tflite"
    manifest = json.loads(model.with_name("quantized_model.tflite.json").read_text())
    assert manifest["artefact"]["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert manifest["calibration"]["samples"] == 7, "40 % of 16, rounded up"
    assert manifest["calibration"]["seed"] == 0
    assert (folder / "saved_models" / "quantized_model.tflite").read_bytes() == model.read_bytes()
    assert (folder / "saved_models" / "squares.h5").is_file()
    assert {path.name for path in (folder / "logs").iterdir()} == {
        "evaluate_float.json", "quantize.json", "evaluate_quantized.json"
    }  # fmt: skip
    assert "step evaluate_quantized finished" in (folder / "quantcheck.log").read_text()
    colours = finished.runs("colour_runs")
    onnx = next(path for name, path in colours.items() if name == "onnx_colours_quantization" or not name)
    assert list((onnx / "exported").glob("quantized_model.onnx"))
    inputs = [np.load(path) for path in (finished.folder / "colour_runs").glob("*/inputs.npy")]
    assert {(each.shape, each.dtype.name) for each in inputs} == {
        ((9, 24, 24, 3), "int8"), ((9, 3, 24, 24), "float32")
    }, "evaluation.gen_npy_input; the last evaluated is the integer model"  # fmt: skip


def test_the_model_zoos_own_choice_can_be_reproduced(finished: Finished) -> None:
    """Its order is that of the file system, its seed 123 where 0 is given, and it rounds down."""
    (folder,) = (path for name, path in finished.runs().items() if name == "squares_compat")
    manifest = json.loads((folder / "quantized_models" / "quantized_model.tflite.json").read_text())
    files = glob.glob("*.jpg", root_dir=finished.folder / "squares" / "train")  # noqa: PTH207  # its order
    random.Random(123).shuffle(files)
    assert sorted(manifest["calibration"]["ids"]) == sorted(files[:6]), "40 % of 16, rounded down"


def test_test_samples_that_calibrate_are_told_by_their_content(tmp_path: Path) -> None:
    same = {
        "test_audio_path:": "test_audio_path: sounds/audio",
        "test_csv_path:": "test_csv_path: sounds/esc.csv",
    }
    texts = {
        "same": variant("sounds", "chain_eqe", ONNX, same),
        "others_of_the_same_names": variant("sounds", "chain_eqe", ONNX, TEST["sounds"]),
        "nothing_is_scored": variant("sounds", "chain_qb", ONNX, same),
    }
    done = run(tmp_path, *prepare(tmp_path, "onnx_sounds", texts))
    told = {name: " ".join(done.rows[name, "quantize"]["findings"]) for name in texts}
    assert "test_samples_in_calibration: 1 of 1 calibration samples are test samples too" in told["same"]
    assert "test_samples_in_calibration" not in told["others_of_the_same_names"]
    assert "test_samples_in_calibration" not in told["nothing_is_scored"]


def test_mlflow_has_a_run_for_each_configuration(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in mlflow.USUAL.items():
        monkeypatch.setenv(variable, value)
    client = MlflowClient(str(finished.folder / "experiments_outputs" / "mlruns"))
    project = client.get_experiment_by_name("myproject")
    runs = client.search_runs([project.experiment_id], max_results=100)
    (run,) = [run for run in runs if run.info.run_name[20:] == "sounds_eqe"]
    wanted = {
        "quantization.quantizer": "TFlite_converter",
        "dataset.seed": "120",
        "operation_mode": "chain_eqe",
    }
    assert run.data.params.items() >= wanted.items()
    assert (run.info.status, run.data.metrics["passed"]) == ("FINISHED", 1)
    kept = {each.path for each in client.list_artifacts(run.info.run_id)}
    assert kept >= {"quantized_model.tflite", "quantized_model.tflite.json", "report.html", "report.json"}
    below = [each for each in runs if each.data.tags.get("mlflow.parentRunId") == run.info.run_id]
    scores = {each.info.run_name: each.data.metrics.get("clip_accuracy") for each in below}
    assert len(scores) == 3
    assert {value for key, value in scores.items() if "evaluate" in key} == {1.0}


def test_modes_that_take_the_model_as_it_is(tmp_path: Path) -> None:
    made = {"./experiments_outputs/${now:%Y_%m_%d_%H_%M_%S}": "made"}
    (name,) = prepare(tmp_path, "onnx_sounds", {"first": variant("sounds", "quantization", ONNX, made)})
    assert run(tmp_path, name).code == 0
    integers = {"tones.onnx": "made/quantized_models/quantized_model.onnx"}
    files = "prediction: {test_files_path: test_sounds/audio}\n"
    budget = "quantcheck: {budget: {arena_kib: 100}}\n"
    names = prepare(
        tmp_path,
        "onnx_sounds",
        {
            "evaluate_float": variant("sounds", "evaluation", ONNX, TEST["sounds"]),
            "evaluate_integers": variant("sounds", "evaluation", ONNX, TEST["sounds"], integers),
            "benchmark_float": variant("sounds", "benchmarking", ONNX),
            "benchmark_integers": variant("sounds", "benchmarking", ONNX, integers) + budget,
            "predict_float": variant("sounds", "prediction", ONNX) + files,
            "predict_integers": variant("sounds", "prediction", ONNX, integers) + files,
            "drop_of_integers": variant("sounds", "evaluation", ONNX, TEST["sounds"], integers)
            + "quantcheck: {max_drop: 0.1}\n",
        },
    )
    done = run(tmp_path, *names)
    outcomes = {file: row["outcome"] for (file, _), row in done.rows.items()}
    assert outcomes == {
        "evaluate_float": "unjudged",
        "evaluate_integers": "unjudged",
        "benchmark_float": "unjudged",
        "benchmark_integers": "pass",
        "predict_float": "unjudged",
        "predict_integers": "unjudged",
        "drop_of_integers": "error",
    }, done.text
    for file in ("evaluate_float", "evaluate_integers"):
        assert done.rows[file, "evaluate"]["scores"][0]["value"] == 1.0
    assert (
        "there is no float model beside the integer one"
        in done.rows["drop_of_integers", "evaluate"]["reason"]
    )
    for file in ("benchmark_float", "benchmark_integers"):
        (folder,) = (tmp_path / "experiments_outputs").glob(f"*_{file}")
        told = (folder / "benchmark.txt").read_text()
        assert re.search(r"^ +all +[1-9][\d,]+ +[1-9][\d,]+ +[1-9][\d,]+$", told, re.MULTILINE), told
        assert told.count(": fits\n") == len(memories())
        assert ("-calrandom:" in told) is (file == "benchmark_float")
        assert done.rows[file, "benchmark"]["arena"] > 0
    for file in ("predict_float", "predict_integers"):
        (folder,) = (tmp_path / "experiments_outputs").glob(f"*_{file}")
        rows = list(csv.DictReader((folder / "predictions.csv").open()))
        assert [row["class"] for row in rows] == ["dog"] * 3 + ["rooster"] * 3
        assert rows[0]["file"] == "dog-00.wav#0000"


def test_what_fails_says_why_and_what_needs_it_names_it(tmp_path: Path) -> None:
    names = prepare(tmp_path, "for_failures", FAILING)
    done = run(tmp_path, *names)
    assert done.code == 1
    dark = done.rows["dark", "evaluate_quantized"]
    assert dark["outcome"] == "regression"
    assert dark["scores"][0]["value"] < 0.5
    assert any(each["name"] == "max_drop" and not each["passed"] for each in dark["criteria"])
    large = done.rows["large", "benchmark"]
    assert "KiB of flash exceed the limit of 0.5 KiB" in large["criteria"][0]["text"]
    assert done.outcomes("damaged") == {
        "evaluate_float": "unjudged",
        "quantize": "error",
        "evaluate_quantized": "error",
    }
    assert "damaged.yaml:17: " in done.rows["damaged", "quantize"]["reason"]
    assert "dog-00.wav" in done.rows["damaged", "quantize"]["reason"]
    assert done.rows["damaged", "evaluate_quantized"]["reason"].startswith(
        "evaluate_quantized needs quantize, which failed: damaged.yaml:17: "
    )
    assert "1 failed" not in done.text.splitlines()[-1]


PLAIN = """\
general: {project_name: plain, model_path: colours.onnx}
operation_mode: chain_eqe
preprocessing:
  rescaling: { scale: 1/127.5, offset: -1 }
  resizing: { interpolation: nearest, aspect_ratio: fit }
  color_mode: rgb
quantization: {quantizer: onnx_quantizer, quantization_type: PTQ}
hydra: {run: {dir: "./runs/${now:%Y_%m_%d_%H_%M_%S_%f}"}}
"""


def test_workers_share_one_folder_and_a_step_runs_alone(tmp_path: Path) -> None:
    (name,) = prepare(tmp_path, "onnx_colours", {"plain": PLAIN})
    done = run(tmp_path, name, "-n", "2")
    assert done.code == 0, done.text
    assert len(done.outcomes("plain")) == 3
    (folder,) = (tmp_path / "runs").iterdir()
    assert len(list((folder / "logs").iterdir())) == 3, "each worker wrote to the same folder"
    assert "plain.yaml: no accuracy gate is set" in done.text
    alone = run(tmp_path, f"{name}::evaluate_quantized", "--qc-set=hydra.run.dir=alone")
    assert alone.code == 0, alone.text
    assert alone.rows.keys() == {("plain", "evaluate_quantized")}
    assert not (tmp_path / "alone" / "quantized_models").exists(), "only the step that was asked for ran"
    assert (tmp_path / "alone" / "logs" / "evaluate_quantized.json").is_file()


def test_a_sweep_is_a_step_for_each_value(tmp_path: Path) -> None:
    (name,) = prepare(tmp_path, "onnx_colours", {"plain": PLAIN})
    values = "per_channel", "per_tensor"
    swept = f"--qc-set=quantization.granularity={','.join(values)}"
    done = run(tmp_path, name, swept, "--qc-set=operation_mode=quantization", "--qc-set=hydra.sweep.dir=s")
    assert done.code == 0, done.text
    behind = "operation_mode=quantization,hydra.sweep.dir=s]"
    assert [step for _, step in done.rows] == [
        f"quantize[quantization.granularity={v},{behind}" for v in values
    ]
    assert {path.name for path in (tmp_path / "s").iterdir()} == {"0", "1"}


def collected(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """What is collected, of a configuration whose model is a file with nothing in it."""
    pytester.makefile(".yaml", plain=PLAIN)
    (pytester.path / "colours.onnx").touch()
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "--collect-only", "-q", *options)


def test_steps_are_collected_from_files_that_are_named(pytester: pytest.Pytester) -> None:
    steps = [f"plain.yaml::{step}" for step in ("evaluate_float", "quantize", "evaluate_quantized")]
    assert collected(pytester, "plain.yaml").outlines[:3] == steps
    assert collected(pytester, "plain.yaml::quantize").outlines[:1] == steps[1:2]
    assert not [line for line in collected(pytester).outlines if "plain.yaml" in line], "nobody named it"
    pytester.makeini("[pytest]\nqc_yaml_files = pl*.yaml")
    assert collected(pytester).outlines[:3] == steps


def test_a_yaml_file_of_somebody_else_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", other="stages:\n- name: deploy\n")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--collect-only", "-q", "other.yaml")
    assert not [line for line in result.outlines if line.startswith("other.yaml::")]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("operation_mode=chain_eq", "override 'operation_mode=chain_eq': operation_mode: 'chain_eq' is not"),
        ("quantization.granuality=x", "unknown key quantization.granuality (did you mean granularity?)"),
        ("granularity=per_tensor", "in a configuration a key stands in a section, such as quantization."),
        ("+other.key=1", "unknown key other; allowed: general, model, dataset"),
    ],
)
def test_overrides_that_are_wrong(pytester: pytest.Pytester, override: str, expected: str) -> None:
    result = collected(pytester, "plain.yaml", f"--qc-set={override}")
    assert result.ret != 0
    assert expected in result.stdout.str() + result.stderr.str()


def test_overrides_of_configurations_need_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.quant(model='m.h5')\ndef test_it(quant_config): pass\n")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--qc-set=general.model_path=x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--qc-set general.model_path=x: no Model-Zoo configuration was collected" in result.stderr.str()


def test_a_hostile_file_is_an_error_of_collection_and_nothing_runs(pytester: pytest.Pytester) -> None:
    pytester.makefile(
        ".yaml", evil="general: !!python/object/apply:os.system [touch pwned]\noperation_mode: quantization\n"
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "evil.yaml")
    assert "evil.yaml:1: the tag !!python/object/apply:os.system is refused" in result.stdout.str()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert not (pytester.path / "pwned").exists()


def test_a_deployment_without_a_rig_is_left_out_loudly(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QC_RIG", raising=False)
    result = collected(pytester, "plain.yaml", "--qc-set=operation_mode=chain_qd")
    assert "1 hw test NOT RUN: there is no rig; give --qc-rig virtual" in result.stdout.str()
    assert "plain.yaml::deploy" not in result.stdout.str()
    (pytester.path / "boards.toml").write_text(BOARDS)
    assert collected(pytester, "plain.yaml", "--qc-set=operation_mode=chain_qd").outlines[:2] == [
        "plain.yaml::quantize", "plain.yaml::deploy"
    ]  # fmt: skip
    result = collected(
        pytester, "plain.yaml", "--qc-set=operation_mode=chain_qd", "--qc-set=quantcheck.board=nobody"
    )
    assert "quantcheck.board: board 'nobody' is not in the inventory; it has: desk-1" in result.stdout.str()

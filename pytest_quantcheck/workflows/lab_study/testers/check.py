"""A student's classes against the lab: do they make what was asked, and are their outputs those of what they
made? Their code is run, so callers ask for the user's trust first.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.data.calibration import choose
from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.errors import ModelError, QuantcheckError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.models.conversion.watch import TIME_LIMIT, time_limit_s
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.audit.audit import audit
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.temporary import OwnFolder
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.wording import counted, visible
from pytest_quantcheck.workflows.lab_study.checked import Checked
from pytest_quantcheck.workflows.lab_study.inference import run_tflite
from pytest_quantcheck.workflows.lab_study.quality import quality
from pytest_quantcheck.workflows.lab_study.study import Study
from pytest_quantcheck.workflows.lab_study.tasks import FLOAT, NATIVE, ONE_CLASS, Task
from pytest_quantcheck.workflows.lab_study.testers.variants import has_integer_edges, which

FOLDER = "testers"
_RUN = "pytest_quantcheck.workflows.lab_study.testers.run_testers"
_LAST_WORDS = 800
_NEAR = 1e-4  # of the largest output: one network in float32 on two runtimes


@dataclass(frozen=True, eq=False)
class _Answer:
    """What a class did; ``outputs`` (N, classes) and ``seconds`` (N,) are None where it failed."""

    told: Mapping[str, Any]
    outputs: npt.NDArray[np.float64] | None
    seconds: npt.NDArray[np.float64] | None


def class_of(task: str) -> str:
    """The course's class for a task."""
    named = {NATIVE: "NativeModel", FLOAT: "FP32Model", ONE_CLASS: "ImbalancedINT8Model"}
    return named.get(task, "INT8Model")


def check_testers(
    study: Study, file: Path, *, model_path: Path, root: str, base: Path, results: Path
) -> tuple[Checked, ...]:
    """Run the classes of ``file`` for every task of ``study``, and judge each.

    What they write goes to ``results/testers``. Raises ``UsageError`` where the file cannot be run at all.
    """
    if not file.is_file():
        raise UsageError(f"--tester {file}: there is no such file")
    made = results / FOLDER
    made.mkdir(parents=True, exist_ok=True)
    tasks = [each.task for each in study.results]
    with OwnFolder("testers") as folder:
        job = _job(study, tasks, file, model_path, root, base, made)
        answers = _run(job, tasks, file, Path(folder))
    checked = [_check(study, task, answers[task.name], made) for task in tasks]
    if all(answers[task.name].told["missing"] for task in tasks):
        names = ", ".join(dict.fromkeys(class_of(task.name) for task in tasks))
        raise UsageError(f"--tester {file}: no class with the base ModelTester is called {names}")
    return tuple(checked)


def _job(
    study: Study, tasks: list[Task], file: Path, model_path: Path, root: str, base: Path, made: Path
) -> dict[str, Any]:
    """What the process is told; all paths absolute."""
    return {
        "file": str(file.resolve()),
        "root": root,
        "base": str(base.resolve()),
        "shapes": [list(shape) for shape in study.model.input_shapes],
        "tested": list(study.data.test.names),
        "tasks": [
            {
                "name": task.name,
                "class": class_of(task.name),
                "file": str(file),
                "path": str(_path(study, task, made, model_path).resolve()),
                "original": None if task.name == NATIVE else str(model_path.resolve()),
                "more": [task.fraction] if task.fraction else [],
            }
            for task in tasks
        ],
    }


def _path(study: Study, task: Task, made: Path, model_path: Path) -> Path:
    return model_path if task.name == NATIVE else made / f"{study.model.name}{task.suffix}.tflite"


def _run(job: dict[str, Any], tasks: list[Task], file: Path, folder: Path) -> dict[str, _Answer]:
    job_file = folder / "job.json"
    job_file.write_text(json.dumps({**job, "folder": str(folder)}))
    for task in job["tasks"]:  # what an earlier run left is not this one's
        if task["original"] is not None:
            Path(task["path"]).unlink(missing_ok=True)
    limit = time_limit_s()
    try:
        done = subprocess.run(
            [sys.executable, "-m", _RUN, str(job_file)],
            cwd=job["base"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=limit,
        )
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"--tester {file} did not end within {limit} s; raise the limit with the variable {TIME_LIMIT}"
        ) from error
    if done.returncode or not all((folder / f"{task.name}.json").is_file() for task in tasks):
        last = visible(done.stdout.strip()[-_LAST_WORDS:])
        raise UsageError(f"--tester {file} failed (exit code {done.returncode}): {last}")
    answers = {}
    for task in tasks:
        told, arrays = json.loads((folder / f"{task.name}.json").read_text()), folder / f"{task.name}.npz"
        if not arrays.is_file():
            answers[task.name] = _Answer(told, None, None)
            continue
        with np.load(arrays, allow_pickle=False) as stored:
            answers[task.name] = _Answer(told, stored["outputs"], stored["seconds"])
    return answers


def _check(study: Study, task: Task, answer: _Answer, made: Path) -> Checked:
    """Judge one class."""
    name, told = class_of(task.name), answer.told
    label = f"{name} ({task.name})"
    if told["missing"]:
        criterion = Criterion("class", False, f"the file has no class {name} with the base ModelTester")
        return Checked(task.name, name, _row(label, [criterion]))
    criteria = []
    artefact = None
    if task.name != NATIVE:
        path = made / f"{study.model.name}{task.suffix}.tflite"
        artefact, criterion = _artefact(task, path)
        criteria.append(criterion)
        if task.name != FLOAT and not told["error"]:
            criteria.append(_calibration(study, task, told))
    if answer.outputs is None or answer.seconds is None:
        word = "is not finished" if told.get("unfinished") else f"failed: {visible(told['error'])}"
        criteria.append(Criterion("runs", False, f"{told['where']} {word}"))
        return Checked(task.name, name, _row(label, criteria))
    criterion, finding = _outputs(study, task, artefact, answer.outputs)
    criteria.append(criterion)
    if not criterion.passed and answer.outputs.shape != _shape(study):
        return Checked(task.name, name, _row(label, criteria))
    found = quality(answer.outputs, study.data.test.truths[0])
    kept = answer.seconds[1:] if len(answer.seconds) > 1 else answer.seconds
    row = _row(label, criteria, finding)
    return Checked(task.name, name, row, found, 1000 * float(kept.mean()))


def _row(label: str, criteria: list[Criterion], *findings: str) -> Row:
    failed = any(each.passed is False for each in criteria)
    told = tuple(filter(None, findings))
    return Row(
        test=label,
        case=label,
        criteria=tuple(criteria),
        outcome="regression" if failed else "pass",
        findings=told,
    )


def _artefact(task: Task, path: Path) -> tuple[QuantizedModel | None, Criterion]:
    """What ``optimize_model`` wrote, and whether it is what the task asks for."""
    if not path.is_file():
        return None, Criterion("artefact", False, f"optimize_model wrote no {path.name} (self.modelpath)")
    try:
        model = QuantizedModel(path.stem, read_whole(path))
        errors = [each for each in audit(model.artefact, task.config) if each.severity == "error"]
    except (QuantcheckError, OSError) as error:
        return None, Criterion("artefact", False, f"{path.name}: {error}")
    if errors:
        text = " ".join(f"{each.sentence} {each.remedy}".strip() for each in errors)
        return model, Criterion("artefact", False, f"{path.name}: {text}")
    wanted = task.config
    assert wanted is not None, "the native model has none"
    text = f"{path.name}, {len(model.artefact):,} bytes: {wanted.input_type} in, {wanted.output_type} out"
    return model, Criterion("artefact", True, text)


def _calibration(study: Study, task: Task, told: Mapping[str, Any]) -> Criterion:
    """Whether ``optimize_model`` took the samples that the task names."""
    samples = study.data.calibration
    names, labels = samples.names, samples.labels
    assert labels is not None, "the lab is about classes"
    assert task.config is not None, "it is calibrated"
    of = dict(zip(names, map(int, labels), strict=True))
    chosen = choose(task.config.calibration, names, [int(each) for each in labels], study.data.classes)
    taken = Counter(of[name] for name in told["prepared"])
    wanted = Counter(of[names[row]] for row in chosen)
    if told["seen"]:
        seen = counted(len(told["seen"]), "test sample")
        return Criterion("calibration", False, f"optimize_model took {seen}; training samples calibrate")
    text = _samples(study, taken)
    if taken == wanted:
        return Criterion("calibration", True, text)
    text = f"optimize_model took {text}; the task asks for {_samples(study, wanted)}"
    return Criterion("calibration", False, text)


def _samples(study: Study, by_class: Counter[int]) -> str:
    """``37 samples of 37 classes``."""
    count = counted(by_class.total(), "sample")
    if len(by_class) != 1:
        return f"{count} of {len(by_class)} classes"
    (only,) = by_class
    return f"{count} of class {study.data.classes[only] if only < len(study.data.classes) else only}"


def _shape(study: Study) -> tuple[int, ...]:
    outputs = study.results[0].timed.outputs
    return len(outputs), int(outputs.reshape(len(outputs), -1).shape[1])


def _outputs(study: Study, task: Task, artefact: QuantizedModel | None, seen: Array) -> tuple[Criterion, str]:
    """Whether the outputs are those of the model that was made; and what is worth knowing besides."""
    if seen.shape != _shape(study):
        text = f"postprocess_outputs returns {seen.shape[1]} numbers, not {_shape(study)[1]}"
        return Criterion("outputs", False, text), ""
    if not np.isfinite(seen).all():
        return Criterion("outputs", False, "some are no finite numbers"), ""
    if task.name == NATIVE or artefact is None:
        result = study.of(task.name)
        assert result is not None, "every task that is checked was run"
        return _near(seen, result.timed.outputs, "the framework's" if artefact is None else ""), ""
    try:
        if not has_integer_edges(artefact):
            right = run_tflite(artefact, study.data.test, study.threads).outputs
            return _near(seen, right, f"those of {artefact.name}"), ""
        return _integers(study, artefact, seen)
    except ModelError as error:
        return Criterion("outputs", False, str(error)), ""


def _near(seen: Array, right: Array, whose: str) -> Criterion:
    right = right.reshape(seen.shape)
    furthest = float(np.abs(seen - right).max())
    good = furthest <= _NEAR * max(1.0, float(np.abs(right).max()))
    text = f"the largest difference to {whose} is {furthest:.2g}"
    return Criterion("outputs", good, text)


def _integers(study: Study, artefact: QuantizedModel, seen: Array) -> tuple[Criterion, str]:
    def run(model: QuantizedModel, raw: Raw) -> Array:
        return run_tflite(model, raw, study.threads).run.outputs[0]

    found = which(artefact, study.data.test, seen, run)
    if found is None:
        right = run_tflite(artefact, study.data.test, study.threads).outputs.reshape(seen.shape)
        same = float(np.mean(seen.argmax(axis=1) == right.argmax(axis=1)))
        text = f"they are not those of {artefact.name}, by no known mistake; {same:.1%} name the same class"
        return Criterion("outputs", False, text), ""
    if found.harmless:
        finding = f"cut_off_input: {found.told}." if found.told else ""
        return Criterion("outputs", True, f"those of {artefact.name}, dequantized"), finding
    return Criterion("outputs", False, found.told), ""

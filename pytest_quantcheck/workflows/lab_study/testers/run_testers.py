"""Runs the classes of a student's file, in a process of its own: ``python -m ... JOB.json``.

Of each task it writes ``TASK.json``: ``error`` and ``where`` if one of its methods failed, ``prepared`` and
``seen``, the training and test samples that ``optimize_model`` took; and ``TASK.npz``: ``outputs`` (N,
classes), ``seconds`` (N,).
"""

from __future__ import annotations

import json
import runpy
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.data.dataset import Dataset
from pytest_quantcheck.workflows.lab_study.pets import is_pets
from pytest_quantcheck.workflows.lab_study.study import read_samples
from pytest_quantcheck.workflows.lab_study.testers.course_modules import BASE, stand_in
from pytest_quantcheck.workflows.lab_study.testers.lab_data import LabData


def main(job_file: str) -> None:
    """Run all tasks of the job."""
    job = json.loads(Path(job_file).read_text())
    file, folder = Path(job["file"]), Path(job["folder"])
    data = read_samples(job["root"], [tuple(shape) for shape in job["shapes"]], Path(job["base"]))
    dataset = lab_data(data, job["root"], Path(job["base"]))
    sys.path[:0] = [str(package_root(file)), str(file.parent)]
    stand_in()
    classes = testers(runpy.run_path(str(file), run_name=file.stem))
    rows = {name: row for row, name in enumerate(data.test.names)}
    tested = [rows[name] for name in job["tested"]]
    for task in job["tasks"]:
        kind = classes.get(task["class"])
        found: dict[str, Any] = {
            "missing": kind is None,
            "error": "",
            "where": "",
            "prepared": [],
            "seen": [],
        }
        if kind is not None:
            outcome = _run(kind, dataset, task, tested, found)
            if outcome is not None:
                np.savez(folder / f"{task['name']}.npz", outputs=outcome[0], seconds=outcome[1])
        (folder / f"{task['name']}.json").write_text(json.dumps(found))


def lab_data(data: Dataset, root: str, base: Path) -> LabData:
    """The data as the course's classes know them: pictures by their files, other samples by their names."""
    training = [f"training/{name}" for name in data.calibration.names]
    test = [f"test/{name}" for name in data.test.names]
    if is_pets(base / root):
        folder = base / root / "images"
        training, test = (
            [str(folder / f"{name}.jpg") for name in each.names] for each in (data.calibration, data.test)
        )
    return LabData(data, (training, test))


def package_root(file: Path) -> Path:
    """The folder from which the packages that hold ``file`` are imported."""
    folder = file.resolve().parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def testers(namespace: dict[str, Any]) -> dict[str, type]:
    """The classes whose base is the course's ``ModelTester``, by name."""
    return {
        name: each
        for name, each in namespace.items()
        if isinstance(each, type) and BASE in (base.__name__ for base in each.__mro__[1:])
    }


def _run(
    kind: type, dataset: LabData, task: dict[str, Any], tested: Iterable[int], found: dict[str, Any]
) -> tuple[Any, Any] | None:
    """Outputs and seconds, as the lab's own loop gets them; None where a method failed."""
    dataset.prepared, dataset.seen = set(), set()
    outputs, seconds = [], []
    arguments = [Path(each) if each is not None else None for each in (task["path"], task["original"])]
    try:
        tester: Any = kind(dataset, *arguments, *task["more"])
        found |= {"prepared": sorted(dataset.prepared), "seen": sorted(dataset.seen)}
        tester.prepare_model()
        for row in tested:
            tester.preprocess_input(dataset.prepare_input_sample(dataset.testX[row]))
            start = time.perf_counter()
            answer = tester.run_inference()
            seconds.append(time.perf_counter() - start)
            outputs.append(np.array(tester.postprocess_outputs(answer), np.float64).reshape(-1))
        return np.stack(outputs), np.asarray(seconds)
    except Exception as error:  # a student's code raises whatever it raises
        frames = traceback.extract_tb(error.__traceback__)
        place = next((f for f in reversed(frames) if Path(f.filename).name == Path(task["file"]).name), None)
        called = next((f for f in frames if f.name in METHODS), None)
        found["error"] = f"{type(error).__name__}: {error}".rstrip(": ")[:MOST_TEXT]
        method = called.name if called else "__init__"
        found["where"] = f"{method}, line {place.lineno}" if place else method
        found["unfinished"] = isinstance(error, NotImplementedError)
        return None


METHODS = ("optimize_model", "prepare_model", "preprocess_input", "run_inference", "postprocess_outputs")
MOST_TEXT = 400

if __name__ == "__main__":
    main(sys.argv[1])

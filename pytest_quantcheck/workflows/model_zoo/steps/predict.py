"""Prediction: what a model says about files, as a table in the run's folder."""

from __future__ import annotations

import csv
import io

import numpy as np

from pytest_quantcheck.data.dataset import Dataset
from pytest_quantcheck.data.tasks.detection import NO_BOX
from pytest_quantcheck.files import write_whole
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.run import Run
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.workflows.model_zoo.configuration import DETECTION
from pytest_quantcheck.workflows.model_zoo.job import Job
from pytest_quantcheck.workflows.model_zoo.steps.evaluate import float_run

FILE = "predictions.csv"


def predict(job: Job) -> None:
    """Run the model on ``prediction.test_files_path``; write a row per file, or per box."""
    given = job.config.prediction.test_files_path
    assert given is not None, "checked when the configuration is read"
    data = job.data.predicted(job.config.path(given))
    run = _run(job, data)
    outputs = tuple(prepare.dequantize_output(run.model, raw, which) for which, raw in enumerate(run.outputs))
    if run.model.finish is not None:
        outputs = run.model.finish(outputs)
    names = job.config.classes or data.classes
    if job.config.task == DETECTION:
        header, rows = _boxes(job, data, outputs, names)
    else:
        header, rows = _classes(data, outputs[0], names)
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    path = job.folder.file(FILE)
    write_whole(path, text.getvalue().encode())
    job.folder.log(f"predict: {len(rows)} predictions of {len(data.test)} files in {path}")
    job.tools.record(
        Row(name=run.model.id, model=run.model.id, runner=run.runner, runtime=run.runtime, samples=len(run))
    )


def _run(job: Job, data: Dataset) -> Run:
    if isinstance(job.given, QuantizedModel):
        return job.tools.reference.run(job.given, data.test)
    return float_run(job.float_model, data.test)


def _classes(data: Dataset, scores: Array, names: tuple[str, ...]) -> tuple[list[str], list[list[object]]]:
    """The class with the largest score, and that score."""
    flat = scores.reshape(len(scores), -1)
    best = flat.argmax(axis=1)
    rows: list[list[object]] = [
        [name, names[at] if at < len(names) else int(at), f"{flat[row, at]:.6g}"]
        for row, (name, at) in enumerate(zip(data.test.names, best, strict=True))
    ]
    return ["file", "class", "score"], rows


def _boxes(
    job: Job, data: Dataset, outputs: tuple[Array, ...], names: tuple[str, ...]
) -> tuple[list[str], list[list[object]]]:
    """The boxes of each image, as fractions of it."""
    (found,) = data.purpose.decode(outputs, data.test.inputs)
    least = job.config.postprocessing.confidence_thresh
    rows: list[list[object]] = []
    for name, boxes in zip(data.test.names, found, strict=True):
        for *place, score, kind in boxes:
            if kind != NO_BOX and score >= least:
                label = names[int(kind)] if int(kind) < len(names) else int(kind)
                rows.append([name, label, f"{score:.6g}", *(f"{np.float64(each):.6g}" for each in place)])
    return ["file", "class", "score", "ymin", "xmin", "ymax", "xmax"], rows

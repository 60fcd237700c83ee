"""``study``: all tasks of the lab on one model and dataset, each made, run, timed and judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Dataset
from pytest_quantcheck.data.load import load_data
from pytest_quantcheck.data.subset import subset
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.models.files.kind import file_kind
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.load import load
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.verdict.gate import Gate
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.workflows.lab_study.inference import FloatRow, Timed, run_keras, run_tflite
from pytest_quantcheck.workflows.lab_study.pets import is_pets, pets
from pytest_quantcheck.workflows.lab_study.quality import Quality, quality
from pytest_quantcheck.workflows.lab_study.tasks import FLOAT, NATIVE, Task


@dataclass(frozen=True, eq=False)
class Result:
    """One task: its ``model`` (for the native one the float ``.tflite``), how it ran, and the verdict's row.

    ``at_ends`` is the fraction of its input values that lie at the ends of an integer input's range.
    """

    task: Task
    model: QuantizedModel
    timed: Timed
    quality: Quality
    row: Row
    at_ends: float | None = None

    @property
    def bytes(self) -> int | None:
        """The artefact's size; None for the native model."""
        return len(self.model.artefact) if self.task.config is not None else None

    @property
    def calibrated(self) -> int | None:
        """With how many samples; None where with none."""
        count = self.model.manifest.get("calibration", {}).get("samples") if self.task.config else None
        return int(count) if count else None


@dataclass(frozen=True, eq=False)
class Study:
    """All results, in the order of the lab. ``left_out`` says which task is not among them and why;
    ``tested`` of ``available`` test samples were run.
    """

    model: FloatModel
    data: Dataset
    results: tuple[Result, ...]
    available: int
    threads: int
    left_out: tuple[str, ...] = ()

    def of(self, name: str) -> Result | None:
        """The result of the task called ``name``; None where it was not asked for."""
        return next((each for each in self.results if each.task.name == name), None)

    @property
    def tested(self) -> int:
        return len(self.data.test)

    @property
    def parameters(self) -> int:
        """In the Keras file, where it was run; else in the converted network."""
        return max((each.timed.parameters for each in self.results), default=0) or self.converted_parameters

    @property
    def converted_parameters(self) -> int:
        """Float constants of the ``.tflite``, batch norms folded into the layers before them."""
        return sum(
            t.elements for t in self.model.summary.tensors if t.data is not None and t.dtype == "float32"
        )


def read_samples(root: str, shapes: Sequence[tuple[int, ...]], base: Path) -> Dataset:
    """The Oxford-IIIT Pet folder, or whatever ``load_data`` takes; a classification with labels.

    ``shapes`` are those of the model's inputs, without the sample axis. Raises ``UsageError`` and
    ``ModelError``.
    """
    if is_pets(base / root):
        if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][2] != 3:
            raise UsageError(f"{root} holds colour pictures; the model's inputs are {shapes}")
        return pets(base / root, (shapes[0][0], shapes[0][1]))
    data = load_data(root, base)
    if not isinstance(data, Dataset):
        raise UsageError(
            f"--dataset-root {root}: samples to calibrate with and others to test with are needed; give a "
            "Dataset (calibration_x, calibration_y, test_x, test_y)"
        )
    if not data.purpose.labels or data.test.labels is None or data.calibration.labels is None:
        raise UsageError(f"--dataset-root {root}: the lab is about classes, one whole number for each sample")
    return data


def study(
    model_path: str,
    dataset_root: str,
    tasks: tuple[Task, ...],
    *,
    base: Path,
    fraction: float = 1.0,
    max_drop: float | None = None,
    threads: int = 1,
    cache: Cache | None = None,
    progress: Callable[[str], object] = str,
) -> Study:
    """Run ``tasks`` on ``fraction`` of the test samples, of every class alike.

    With ``max_drop`` each of them may lose at most that much accuracy against ``tflite-fp32``. Raises
    ``UsageError`` and ``ModelError``.
    """
    if not 0 < fraction <= 1:
        raise UsageError(f"--test-dataset-fraction {fraction:g}: allowed: above 0 and up to 1")
    model = load(model_path, base=base, cache=cache)
    if not model.tflite:
        raise UsageError(f"--model-path {model_path}: the lab is about TensorFlow Lite; give a Keras model")
    data = read_samples(dataset_root, model.input_shapes, base)
    available = len(data.test)
    chosen = subset(data.test, max(1, math.ceil(fraction * available)))
    data = replace(data, test=data.test.take(chosen)) if fraction < 1 else data
    keras_file = base / model_path if file_kind(base / model_path) == "keras" else None
    lab = _Lab(model, keras_file, data, FloatRow(threads), max_drop, threads, cache)
    results, left_out = [], []
    for task in tasks:
        if task.name == NATIVE and keras_file is None:
            left_out.append(f"{NATIVE}: {model_path} is no Keras file, which the TensorFlow framework runs")
            continue
        progress(task.name)
        results.append(lab.result(task))
    if not results:
        raise UsageError(f"--tasks {NATIVE}: {left_out[0]}; give a .h5 or .keras file")
    return Study(model, data, tuple(results), available, threads, tuple(left_out))


@dataclass(frozen=True, eq=False)
class _Lab:
    model: FloatModel
    keras_file: Path | None
    data: Dataset
    floats: FloatRow
    max_drop: float | None
    threads: int
    cache: Cache | None

    def result(self, task: Task) -> Result:
        model, timed = self._run(task)
        rows: list[Row] = []
        gate = Gate(data=self.data, float_outputs=self.floats, record=lambda v: rows.append(v.row()))
        try:
            gate.check(timed.run, max_drop=self.max_drop, allow_unjudged=True)
        except AssertionError:
            assert rows, "the row says what failed"
        row = replace(rows[0], test=task.name, case=task.name, latency_ms=float(np.median(timed.kept_ms)))
        found = quality(timed.outputs, self.data.test.truths[0])
        return Result(task, model, timed, found, row, _at_ends(timed))

    def _run(self, task: Task) -> tuple[QuantizedModel, Timed]:
        if task.config is None:
            assert self.keras_file is not None
            model = QuantizedModel(self.model.name, self.model.tflite, None, self.model.tflite)
            return model, run_keras(self.keras_file, self.model.source_sha256, model, self.data.test)
        model = quantize(self.model, task.config, self.data, cache=self.cache)
        if task.name == FLOAT:
            timed = self.floats.timed(model, self.data.test)
            return model, replace(timed, run=replace(timed.run, model=model))
        return model, run_tflite(model, self.data.test, self.threads)


def _at_ends(timed: Timed) -> float | None:
    values: Array = timed.run.inputs[0]
    if values.dtype.kind not in "iu":
        return None
    limits = np.iinfo(values.dtype)
    return float(np.mean((values == limits.min) | (values == limits.max)))

"""What runs are compared with: the exact integers, and the float model's outputs. Both are kept for reuse."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from threading import Lock
from typing import Any

import numpy as np

from pytest_quantcheck.data.dataset import Array, Samples
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.onnxruntime import OnnxruntimeRunner
from pytest_quantcheck.runners.prepare import summary_of
from pytest_quantcheck.runners.run import Run, Runner, Vectors

KEEP = 16  # a session looks at few models at a time


class ByFormat:
    """One runner for TFLite files, another for ONNX models, a third for TFLite files with quantized weights
    only; called by the first one's name."""

    def __init__(self, tflite: Runner, onnx: Runner, floats: Runner) -> None:
        self.name = tflite.name
        self._tflite, self._onnx, self._floats = tflite, onnx, floats

    def of(self, model: QuantizedModel) -> Runner:
        """The one that runs this model."""
        if is_onnx(model.artefact):
            return self._onnx
        return self._floats if summary_of(model.artefact).weights_only else self._tflite

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        """See ``Runner``."""
        return self.of(model).run(model, vectors, operators=operators)

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:
        """See ``Runner``."""
        return self.of(model).tensor(model, inputs, operator)


def exact_runner() -> Runner:
    """The runner whose integers are right: TFLM where its wheel is installed, else our interpreter.

    ONNX models run on our interpreter: onnxruntime's own integers depend on the processor. What computes in
    floats (scheme dynamic, float16) runs on LiteRT, if that is installed.
    """
    from pytest_quantcheck.runners.integer import IntegerRunner

    integer = IntegerRunner()
    exact: Runner = integer
    if find_spec("tflite_micro") is not None:
        from pytest_quantcheck.runners.tflm import TflmRunner

        exact = TflmRunner()
    return ByFormat(exact, integer, _float_runner() or exact)


class Remembering:
    """A runner that keeps its last runs, so that one reference run serves several boards and checks."""

    def __init__(self, runner: Runner) -> None:
        self.name = runner.name
        self.runner = runner
        self._runs: dict[tuple[str, int], Run] = {}
        self._lock = Lock()

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        """As the runner's own ``run``; the same model and vectors are run once (not with ``operators``)."""
        if operators:
            return self.runner.run(model, vectors, operators=True)
        key = (model.sha256, id(vectors))
        with self._lock:
            if key not in self._runs:
                _make_room(self._runs)
                self._runs[key] = self.runner.run(model, vectors)  # keeps the vectors alive, and so their id
            return self._runs[key]

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:
        """As the runner's own ``tensor``."""
        return self.runner.tensor(model, inputs, operator)


def runner_of(reference: Runner, model: QuantizedModel) -> Runner:
    """Which runner a reference asks about this model in the end: its name is that of the run."""
    if isinstance(reference, Remembering):
        return runner_of(reference.runner, model)
    return reference.of(model) if isinstance(reference, ByFormat) else reference


class FloatOutputs:
    """Outputs of the float source of a model, by ``runner`` (default: LiteRT, else TFLM).

    ONNX sources run on onnxruntime. Call it with a model and samples.
    """

    def __init__(self, runner: Runner | None = None) -> None:
        self._runner = runner or _float_runner()
        self._onnx = OnnxruntimeRunner() if find_spec("onnxruntime") is not None else None
        self._outputs: dict[tuple[str, int], tuple[Samples, Array]] = {}
        self._lock = Lock()

    def __call__(self, model: QuantizedModel, samples: Samples) -> Array | None:
        """(N, ...) float32; None without a float source, or without a runner for it."""
        runner = self._onnx if is_onnx(model.float_model) else self._runner
        if not model.float_model or runner is None:
            return None
        key = (hashlib.sha256(model.float_model).hexdigest(), id(samples))
        with self._lock:
            if key not in self._outputs:
                _make_room(self._outputs)
                run = runner.run(QuantizedModel(f"{model.name} (float)", model.float_model), samples)
                self._outputs[key] = samples, np.asarray(run.outputs[0], dtype=np.float32)
            return self._outputs[key][1]


def _make_room(kept: dict[Any, Any]) -> None:
    while len(kept) >= KEEP:
        del kept[next(iter(kept))]


def _float_runner() -> Runner | None:
    """LiteRT, else TFLM, whose float kernels differ in the last bits only; None without either."""
    if find_spec("ai_edge_litert") is not None:
        from pytest_quantcheck.runners.litert import LitertRunner

        return LitertRunner()
    if find_spec("tflite_micro") is not None:
        from pytest_quantcheck.runners.tflm import TflmRunner

        return TflmRunner()
    return None

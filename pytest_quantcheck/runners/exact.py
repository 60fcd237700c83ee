"""The runner whose integers are right, for each format of an artefact."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec

from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.graph.from_tflite.rules import NOT_IN_TFLM
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.float_outputs import float_runner
from pytest_quantcheck.runners.prepare import summary_of
from pytest_quantcheck.runners.registry import host_runner
from pytest_quantcheck.runners.remembering import Remembering
from pytest_quantcheck.runners.run import Run, Runner, Vectors
from pytest_quantcheck.runners.worker.parent import shared_worker


class ByFormat:
    """One runner for TFLite files, our interpreter for ONNX models and for operators that TFLM does not have,
    a third for TFLite files with quantized weights only; called by the first one's name."""

    def __init__(self, tflite: Runner, floats: Runner) -> None:
        self.name = tflite.name
        self._tflite, self._floats = tflite, floats

    @cached_property
    def _interpreter(self) -> Runner:
        return host_runner("integer")

    def of(self, model: QuantizedModel) -> Runner:
        """The one that runs this model."""
        if is_onnx(model.artefact):
            return self._interpreter
        summary = summary_of(model.artefact)
        if summary.weights_only:
            return self._floats
        return self._tflite if NOT_IN_TFLM.isdisjoint(summary.kinds) else self._interpreter

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        """See ``Runner``."""
        return self.of(model).run(model, vectors, operators=operators)

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:
        """See ``Runner``."""
        return self.of(model).tensor(model, inputs, operator)


def exact_runner() -> Runner:
    """TFLM where its wheel is installed, else our interpreter.

    ONNX models run on our interpreter: onnxruntime's own integers depend on the processor. So do TFLite files
    with operators that TFLM does not have. What computes in floats (scheme dynamic, float16) runs on LiteRT,
    if that is installed.
    """
    exact = host_runner("tflm" if find_spec("tflite_micro") is not None else "integer")
    return ByFormat(exact, float_runner() or exact)


def warm_up() -> None:
    """Start the processes in which TFLite models, quantized and float, will run: they import meanwhile."""
    for interpreter, package, title in (
        ("tflm", "tflite_micro", "TensorFlow Lite Micro"),
        ("litert", "ai_edge_litert", "LiteRT"),
    ):
        if find_spec(package) is not None:
            shared_worker(interpreter, title).warm_up()


def runner_of(reference: Runner, model: QuantizedModel) -> Runner:
    """Which runner a reference asks about this model in the end: its name is that of the run."""
    if isinstance(reference, Remembering):
        return runner_of(reference.runner, model)
    return reference.of(model) if isinstance(reference, ByFormat) else reference

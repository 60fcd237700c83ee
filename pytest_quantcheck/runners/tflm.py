"""``tflm``: TensorFlow Lite Micro's own kernels, the oracle for what a microcontroller computes.

The ``tflite_micro`` wheel trusts its models, so it runs in a worker process: a damaged model costs
the worker, and the caller gets a ``ModelError`` that names the signal.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from pytest_quantcheck.errors import MissingExtraError, ModelError
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.in_worker import WorkerRunner
from pytest_quantcheck.runners.run import installed

_ARENA_OVERHEAD = 1 << 16


class TflmRunner(WorkerRunner):
    """See ``WorkerRunner``. Exact by definition."""

    name = interpreter = "tflm"
    title = "TensorFlow Lite Micro"
    exact = True

    def __init__(self, deadline: float = 120.0) -> None:
        if find_spec("tflite_micro") is None:
            raise MissingExtraError("tflite_micro", "tflm", "the runner tflm")
        super().__init__(deadline)

    @property
    def runtime(self) -> str:
        """Implementation and version."""
        return f"tflite_micro {installed('tflite_micro')}"

    def _request(self, model: QuantizedModel) -> dict[str, Any]:
        summary = prepare.summary_of(model.artefact)
        if summary.weights_only:
            raise ModelError(
                f"{model.name} has {summary.weights_only} weights, but computes in float32, for which TFLM "
                f"has no kernels; run it with litert, or quantize the float model with scheme int8"
            )
        for tensor in summary.tensors:
            if not tensor.is_whole:  # TFLM believes the shape, and may never come to an end
                raise ModelError(
                    f"tensor {tensor.index} ({tensor.name}) has shape {tensor.shape}, but "
                    f"{0 if tensor.data is None else len(tensor.data)} bytes of data; convert the model again"
                )
        activations = sum(4 * max(0, t.elements) for t in summary.tensors if t.data is None)
        arena = min(2 * activations + 2 * len(model.artefact) + _ARENA_OVERHEAD, 1 << 28)
        return {**super()._request(model), "arena": arena}

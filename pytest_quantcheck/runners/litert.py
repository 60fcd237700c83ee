"""``litert`` and ``litert_reference``: LiteRT's default and its reference kernels, by name and never exact.

The default kernels (XNNPACK) round once in float32; the reference kernels round as TFLM does, but
FULLY_CONNECTED once instead of twice. Some sound models crash the default kernels, hence the worker process.
"""

from __future__ import annotations

from importlib.util import find_spec

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import MissingExtraError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.in_worker import WorkerRunner
from pytest_quantcheck.runners.run import installed


class LitertRunner(WorkerRunner):
    """LiteRT as applications run it, on one thread."""

    name = interpreter = "litert"
    title = "LiteRT"
    kernels = "AUTO"
    samples_at_once = 8  # some of its reference kernels take seconds for an image

    def __init__(self, deadline: float = 120.0) -> None:
        if find_spec("ai_edge_litert") is None:
            raise MissingExtraError("ai-edge-litert", "virtual", f"the runner {self.name}")
        super().__init__(deadline)

    @property
    def runtime(self) -> str:
        """Implementation and version."""
        return f"ai-edge-litert {installed('ai-edge-litert')} ({self.kernels})"


class LitertReferenceRunner(LitertRunner):
    """LiteRT's portable reference kernels."""

    name = "litert_reference"
    kernels = "BUILTIN_REF"


def float_outputs(float_model: bytes, samples: Samples) -> tuple[Array, ...]:
    """The outputs of a float ``.tflite`` for N samples, (N, ...) float32 each, run by LiteRT.

    Raises ``UsageError`` where the samples do not fit, ``ModelError`` where LiteRT refuses the model.
    """
    model = QuantizedModel("float model", float_model)
    return LitertRunner().run(model, samples).outputs

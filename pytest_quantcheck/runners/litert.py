"""``litert`` and ``litert_reference``: LiteRT's default and its reference kernels, by name and never exact.

The default kernels (XNNPACK) round once in float32; the reference kernels round as TFLM does, but
FULLY_CONNECTED once instead of twice.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import MissingExtraError, ModelError
from pytest_quantcheck.graph.execute import crc32
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.batches import Records, run_in_batches
from pytest_quantcheck.runners.run import OperatorRecord, Run, Vectors, installed
from pytest_quantcheck.runners.tflm import source_outputs, written_by


class LitertRunner:
    """LiteRT as applications run it."""

    name = "litert"
    resolver = "AUTO"

    @property
    def runtime(self) -> str:
        """Implementation and version."""
        return f"ai-edge-litert {installed('ai-edge-litert')} ({self.resolver})"

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        """See ``Runner``. Raises ``ModelError`` when LiteRT refuses the model."""
        sources = source_outputs(model) if operators else ()
        interpreter = self._interpreter(model.artefact, bool(operators))

        def infer(inputs: list[Array]) -> tuple[list[Array], list[Records]]:
            values = _invoke(interpreter, [x[0] for x in inputs])
            found = tuple(
                OperatorRecord(index, kind, crc32(interpreter.get_tensor(tensor)))
                for index, kind, tensor in sources
            )
            return [value[np.newaxis] for value in values], [found] if operators else []

        return run_in_batches(model, vectors, infer, runner=self.name, runtime=self.runtime)

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:
        """See ``Runner``."""
        tensor = written_by(model, operator)
        interpreter = self._interpreter(model.artefact, True)
        _invoke(interpreter, [x[0] for x in prepare.one_inference(model, inputs)])
        return np.array(interpreter.get_tensor(tensor))

    def _interpreter(self, artefact: bytes, preserve: bool) -> Any:
        return _interpreter(artefact, self.resolver, preserve)


class LitertReferenceRunner(LitertRunner):
    """LiteRT's portable reference kernels."""

    name = "litert_reference"
    resolver = "BUILTIN_REF"


def float_outputs(float_model: bytes, samples: Samples) -> tuple[Array, ...]:
    """The outputs of a float ``.tflite`` for N samples, (N, ...) float32 each, run by LiteRT.

    Raises ``UsageError`` where the samples do not fit, ``ModelError`` where LiteRT refuses the model.
    """
    model = QuantizedModel("float model", float_model)
    return LitertRunner().run(model, samples).outputs


def _interpreter(artefact: bytes, resolver: str, preserve: bool) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        raise MissingExtraError("ai-edge-litert", "virtual", "LiteRT") from None
    prepare.require_tflite(artefact, "LiteRT")
    prepare.summary_of(artefact)
    try:
        with warnings.catch_warnings():
            # LiteRT warns that all tensors cannot be kept under its default delegate; it keeps them.
            warnings.simplefilter("ignore", UserWarning)
            interpreter = Interpreter(
                model_content=artefact,
                experimental_op_resolver_type=OpResolverType[resolver],
                experimental_preserve_all_tensors=preserve,
                num_threads=1,
            )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"LiteRT refuses the model: {error}") from error
    return interpreter


def _invoke(interpreter: Any, inputs: Sequence[Array]) -> list[Array]:
    for detail, x in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], x)
    try:
        interpreter.invoke()
    except RuntimeError as error:
        raise ModelError(f"LiteRT cannot run the model: {error}") from error
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]

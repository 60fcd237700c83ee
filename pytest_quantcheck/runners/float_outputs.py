"""``FloatOutputs``: what the float source of a quantized model says about samples."""

from __future__ import annotations

from functools import cached_property, lru_cache
from importlib.util import find_spec
from typing import Protocol

import numpy as np

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.prepare import summary_of
from pytest_quantcheck.runners.registry import host_runner
from pytest_quantcheck.runners.remembering import Remembering
from pytest_quantcheck.runners.run import Runner


def float_runner() -> Runner | None:
    """LiteRT, else TFLM, whose float kernels differ in the last bits only; None without either."""
    if find_spec("ai_edge_litert") is not None:
        return host_runner("litert")
    return host_runner("tflm") if find_spec("tflite_micro") is not None else None


class FloatSource(Protocol):
    """What a model's float source says; ``FloatOutputs`` is the usual one."""

    def __call__(self, model: QuantizedModel, samples: Samples) -> tuple[Array, ...] | None:
        """All outputs, (N, ...) float32 each; None where there are none."""

    def missing(self, model: QuantizedModel) -> str:
        """Why there are none, and what to do; empty where there are."""


@lru_cache(maxsize=8)  # every check asks for it, and making one reads the whole file
def _float_model(name: str, content: bytes) -> QuantizedModel:
    return QuantizedModel(f"{name} (float)", content)


class FloatOutputs:
    """Outputs of the float source of a model, by ``runner`` (default: LiteRT, else TFLM); kept for reuse.

    ONNX sources run on onnxruntime.
    """

    def __init__(self, runner: Runner | None = None) -> None:
        tflite = runner or float_runner()
        self._tflite = Remembering(tflite) if tflite is not None else None

    @cached_property
    def _onnx(self) -> Runner | None:
        return Remembering(host_runner("onnxruntime")) if find_spec("onnxruntime") is not None else None

    def __call__(self, model: QuantizedModel, samples: Samples) -> tuple[Array, ...] | None:
        """All outputs, (N, ...) float32 each; None without a float source, or without a runner for it."""
        runner = self._runner(model)
        if not model.float_model or runner is None or _is_quantized(model.float_model):
            return None
        run = runner.run(_float_model(model.name, model.float_model), samples)
        return tuple(np.asarray(output, dtype=np.float32) for output in run.scored)

    def missing(self, model: QuantizedModel) -> str:
        """Why there are no float outputs of ``model``, and what to do about it; empty where there are."""
        if not model.float_model:
            return "there is no float model; give quant(model=...) beside the artefact"
        if _is_quantized(model.float_model):
            return (
                "what was given as the float model is quantized itself, so that nothing could be lost to it"
            )
        if self._runner(model) is None:
            onnx = is_onnx(model.float_model)
            package, extra = ("onnxruntime", "onnx") if onnx else ("ai-edge-litert", "virtual")
            return (
                f"nothing here can run the float model: the package {package} is not installed; "
                f'pip install "pytest-quantcheck[{extra}]"'
            )
        return ""

    def _runner(self, model: QuantizedModel) -> Runner | None:
        return self._onnx if is_onnx(model.float_model) else self._tflite


@lru_cache(maxsize=16)  # every check asks
def _is_quantized(content: bytes) -> bool:
    """Whether a model computes with integers."""
    summary = summary_of(content)
    return "QuantizeLinear" in summary.kinds or any(
        tensor.data is None and len(tensor.scales) for tensor in summary.tensors
    )

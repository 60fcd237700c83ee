"""What keeps a quantized model from our interpreter and firmware: all of it, with the layer and a way out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.errors import ImageError, ModelError, QuantcheckError
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.formats.summary import OperatorSummary, Summary
from pytest_quantcheck.graph.from_tflite.obstacles import refusals, unknown_operators
from pytest_quantcheck.graph.read import read_graph, supported_kinds
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.quantizers.audit.substitutes import layer_of, substitute_for
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.prepare import sample_shape
from pytest_quantcheck.runners.tflm import TflmRunner

_NAMED = 3  # operators of one kind that a finding names


def obstacles(artefact: bytes) -> list[Finding]:
    """An ``error`` for each; empty where a device image can be made. Raises ``ModelError`` for damage."""
    try:
        compile_image(read_graph(artefact))
    except (ModelError, ImageError) as error:
        found = _of_onnx(artefact) if is_onnx(artefact) else _of_tflite(artefact)
        return found or [Finding("error", "model", f"{error}.")]
    return []


def runs_on_tflm(model: QuantizedModel) -> bool:
    """Whether TFLM's kernels take the model; False also where the extra is missing."""
    try:
        tensors = read_summary(model.artefact).input_tensors
        zeros = [np.zeros((1, *sample_shape(tensor.shape)), np.dtype(tensor.dtype)) for tensor in tensors]
        TflmRunner().run(model, Raw(tuple(zeros)))
    except (QuantcheckError, TypeError):
        return False
    return True


def _of_tflite(artefact: bytes) -> list[Finding]:
    summary = read_summary(artefact)
    found = [
        _unknown(kind, [_told(summary, op) for op in operators], supported_kinds(artefact))
        for kind, operators in unknown_operators(artefact).items()
    ]
    for operator, reason in refusals(artefact):
        layer = layer_of(summary, operator)
        found.append(Finding("error", "refused_operator", f"{reason} (layer '{layer}')."))
    return found


def _of_onnx(artefact: bytes) -> list[Finding]:
    supported = supported_kinds(artefact)
    summary = read_summary(artefact)
    kinds = [kind for kind in summary.kinds if kind not in supported]
    operators = {kind: [op for op in summary.operators if op.kind == kind] for kind in kinds}
    return [_unknown(kind, [_told(summary, op) for op in operators[kind]], supported) for kind in kinds]


def _told(summary: Summary, operator: OperatorSummary) -> str:
    layer = layer_of(summary, operator)
    return f"operator {operator.index}" + (f" (layer '{layer}')" if layer else "")


def _unknown(kind: str, operators: Sequence[str], supported: Sequence[str]) -> Finding:
    more = f" and {len(operators) - _NAMED} more" if len(operators) > _NAMED else ""
    where = f": {', '.join(operators[:_NAMED])}{more}" if operators else ""
    substitute = substitute_for(kind)
    return Finding(
        "error",
        "unsupported_operator",
        f"{kind} is not supported{where}.",
        f"{substitute[0].upper()}{substitute[1:]}, or bring a runtime that has it (docs/porting.md). "
        f"Supported: {', '.join(supported)}.",
    )

"""What the operators of a ``.tflite`` file write, for runners that know tensors by index."""

from __future__ import annotations

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.graph.from_tflite.fold import folded_operators
from pytest_quantcheck.graph.model import operator_index, source_of
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare


def source_outputs(model: QuantizedModel) -> tuple[tuple[int, str, int], ...]:
    """What can be compared, ``(operator_index, kind, tensor)``: all that operators write which do not fold
    into constants, but for the handles of variables."""
    summary = prepare.summary_of(model.artefact)
    folded = folded_operators(summary)
    return tuple(
        (operator_index(op.index, number), op.kind, tensor)
        for op in summary.operators
        if op.index not in folded and op.kind != "VAR_HANDLE"
        for number, tensor in enumerate(op.outputs)
    )


def written_by(model: QuantizedModel, operator: int) -> int:
    """The tensor of an ``operator_index``. ``UsageError`` when the model has no such operator."""
    for index, _, tensor in source_outputs(model):
        if index == operator:
            return tensor
    raise UsageError(f"model {model.name} has no operator {source_of(operator)}")

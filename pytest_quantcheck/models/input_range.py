"""Which values go into a model, as far as its file says: for random calibration that nobody gave a range.

Nothing here is known for sure, so whoever uses it says what was taken, and from where.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.formats.detect import is_tflite
from pytest_quantcheck.formats.input_statistics import input_statistics
from pytest_quantcheck.formats.summary import OperatorSummary, Summary
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.numerics.arrays import Array

USUAL = (0.0, 1.0)
DEVIATIONS = 3.0  # of a normalization: nearly all values of a normal distribution lie within
_MOVES = ("RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "EXPAND_DIMS", "TRANSPOSE", "Reshape",
          "Resize", "Transpose", "Unsqueeze", "Identity")  # fmt: skip

Range = tuple[float, float]


def input_ranges(model: FloatModel) -> tuple[tuple[Range, ...], tuple[Finding, ...]]:
    """Low and high per input of ``model``, in real numbers, and where each comes from.

    From the metadata of a ``.tflite`` file; else from a Rescaling or Normalization at the start of the
    network (also of an ONNX one); else 0 to 1, which is a warning.
    """
    stated = input_statistics(model.tflite) if is_tflite(model.tflite) else {}
    ranges, findings = [], []
    for position, tensor in enumerate(model.summary.input_tensors):
        found, origin = stated.get(position), "the file's metadata"
        if found is None:
            found, origin = _scaled(model.summary, tensor.index), "the scaling at the start of the network"
        ranges.append(found or USUAL)
        findings.append(_finding(tensor.name, found, origin))
    return tuple(ranges), tuple(findings)


def _finding(name: str, found: Range | None, origin: str) -> Finding:
    low, high = found or USUAL
    span = f"Input '{name}' is taken to reach from {low:g} to {high:g}"
    remedy = "If that is wrong, give --input-range LOW HIGH or samples (--data)."
    if found is None:
        return Finding("warning", "input_range_assumed", f"{span}: an assumption, nothing says so.", remedy)
    return Finding("note", "input_range_found", f"{span}, from {origin}.", remedy)


def _scaled(summary: Summary, tensor: int) -> Range | None:
    """What a scaling behind input ``tensor`` maps to its usual range.

    With ``factor * x + offset``: 0 to twice the centre where the offset is -1 to 0 and the same for all
    (Rescaling to -1..1 or -0.5..0.5), 0 to 1 / factor without offset (Rescaling to 0..1), else the mean and
    three standard deviations to both sides (Normalization).
    """
    factor, offset = np.ones(()), np.zeros(())
    at, steps = tensor, 0
    while (operator := _only_consumer(summary, at)) is not None and steps < len(summary.operators):
        made = _step(summary, operator, at, factor, offset)
        if made is None:
            break
        factor, offset = made
        at, steps = operator.outputs[0], steps + 1
    if not _sound(factor, offset):
        return None
    mean, deviation = -offset / factor, 1 / np.abs(factor)
    if factor.size == offset.size == 1 and -1.01 <= float(offset.item()) <= 0 < float(factor.item()):
        high = float((2 * mean if offset.item() else deviation).item())
        return 0.0, high
    return float((mean - DEVIATIONS * deviation).min()), float((mean + DEVIATIONS * deviation).max())


def _sound(factor: Array, offset: Array) -> bool:
    """Whether there is a scaling at all, of numbers that say something."""
    if not (np.isfinite(factor).all() and np.isfinite(offset).all() and (np.abs(factor) > 1e-12).all()):
        return False
    return bool((factor != 1).any() or (offset != 0).any()) and factor.size > 0 < offset.size


def _only_consumer(summary: Summary, tensor: int) -> OperatorSummary | None:
    found = [operator for operator in summary.operators if tensor in operator.inputs]
    return found[0] if len(found) == 1 and len(found[0].outputs) == 1 else None


def _step(
    summary: Summary, operator: OperatorSummary, at: int, factor: Array, offset: Array
) -> tuple[Array, Array] | None:
    """Factor and offset behind ``operator``; None for one that is no part of a scaling."""
    if operator.kind in _MOVES:
        return (factor, offset) if operator.inputs[0] == at and factor.size == offset.size == 1 else None
    kind = operator.kind.upper()
    if kind not in ("MUL", "ADD", "SUB", "DIV") or len(operator.inputs) != 2:
        return None
    if (operator.options or {}).get("FusedActivationFunction"):
        return None
    constant = _constant(summary, [i for i in operator.inputs if i != at])
    if constant is None or (kind in ("SUB", "DIV") and operator.inputs[0] != at):
        return None
    try:
        with np.errstate(all="ignore"):
            if kind in ("MUL", "DIV"):
                by = constant if kind == "MUL" else 1 / constant
                return factor * by, offset * by
            return factor, offset + (constant if kind == "ADD" else -constant)
    except ValueError:  # shapes that do not go together: other parts refuse the model
        return None


def _constant(summary: Summary, others: Sequence[int]) -> Array | None:
    """The one other operand, as float64, where it is a constant of real numbers."""
    if len(others) != 1 or others[0] < 0 or summary.tensors[others[0]].data is None:
        return None
    try:
        values = summary.tensors[others[0]].values
    except ModelError:
        return None
    return values.astype(np.float64) if values.dtype.kind == "f" else None

"""Findings about what an artefact's numbers can express: outputs that never change, ranges that drown others.

Everything follows from the file: least and largest values of the types, weights, scales. No sample is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pytest_quantcheck.finding import Finding
from pytest_quantcheck.formats.summary import OperatorSummary, Summary, TensorSummary
from pytest_quantcheck.formats.tflite_weights import CHANNEL_AXIS
from pytest_quantcheck.numerics.arrays import Array

INTEGER_RANGE = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "int32": (-(2**31), 2**31 - 1),
}
MIXING = ("ADD", "SUB", "MAXIMUM", "MINIMUM", "CONCATENATION")
COARSE = 3  # weights of a channel that use no integer beyond it have less than three bits left
LOST = 0.5  # an input whose whole range is less than half an output step changes nothing


def where(operator: OperatorSummary) -> str:
    """How findings name an operator."""
    return f"operator {operator.index} ({operator.kind})"


def weighted(summary: Summary) -> Iterator[tuple[OperatorSummary, TensorSummary]]:
    """Operators with constant weights, and those weights."""
    for operator in summary.operators:
        if operator.kind in CHANNEL_AXIS and len(operator.inputs) > 1 and operator.inputs[1] >= 0:
            weights = summary.tensors[operator.inputs[1]]
            if weights.data is not None:
                yield operator, weights


def another_scheme(scheme: str, wrong: Sequence[str]) -> Iterator[Finding]:
    """``wrong`` says what is not as ``scheme`` has it; nothing where all is."""
    if wrong:
        yield Finding(
            "error",
            "scheme",
            f"scheme={scheme} was asked for, but {wrong[0]} ({len(wrong)} such).",
            "Quantize again, or ask for the scheme that the file has.",
        )


def audit_values(summary: Summary) -> Iterator[Finding]:
    """All findings of this module. Expects a file whose scales and shapes are sound."""
    yield from _per_channel_dense(summary)
    yield from _constant_outputs(summary)
    yield from _coarse_weights(summary)
    yield from _lost_inputs(summary)
    yield from _saturated_biases(summary)


def _per_channel_dense(summary: Summary) -> Iterator[Finding]:
    for operator, weights in weighted(summary):
        if operator.kind == "FULLY_CONNECTED" and len(weights.scales) > 1 and weights.dtype == "int8":
            yield Finding(
                "note",
                "per_channel_dense",
                f"{where(operator)} has {len(weights.scales)} scales; runtimes older than TFLM's pull "
                "request 2602 read the first only, and compute wrong values without an error.",
                "Where an old TFLM or CMSIS-NN runs the model, quantize with granularity=per_tensor.",
            )


def _constant_outputs(summary: Summary) -> Iterator[Finding]:
    for operator, weights in _integer_layers(summary):
        low, high = _reach(summary, operator, weights)
        if (low == high).all():
            yield Finding(
                "warning",
                "constant_output",
                f"The output of {where(operator)} is the same whatever comes in: in every channel even the "
                "largest inputs stay below half a step, or beyond the end of the type.",
                "All weights are zero, or an outlier has stretched a scale; look at weights and calibration "
                "samples, or use granularity=per_channel.",
            )


def _integer_layers(summary: Summary) -> Iterator[tuple[OperatorSummary, TensorSummary]]:
    """CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED in integers, with one scale at each end."""
    for operator, weights in weighted(summary):
        ends = summary.tensors[operator.inputs[0]], summary.tensors[operator.outputs[0]]
        sound = all(len(end.scales) == 1 and end.dtype in INTEGER_RANGE for end in ends)
        if operator.kind != "TRANSPOSE_CONV" and weights.dtype == "int8" and len(weights.scales) and sound:
            yield operator, weights


def _reach(summary: Summary, operator: OperatorSummary, weights: TensorSummary) -> tuple[Array, Array]:
    """Least and largest output of every channel, over all inputs that the input's type can hold.

    Interval arithmetic in float64: the sums of the positive and of the negative weights are taken to the
    ends of the input's range; padding, with the zero point, lies between them.
    """
    source, target = summary.tensors[operator.inputs[0]], summary.tensors[operator.outputs[0]]
    axis = CHANNEL_AXIS[operator.kind]
    w = weights.values.astype(np.float64)
    others = tuple(i for i in range(w.ndim) if i != axis)
    up, down = np.maximum(w, 0).sum(axis=others), np.minimum(w, 0).sum(axis=others)
    least, most = (float(end - _zero_point(source)) for end in INTEGER_RANGE[source.dtype])
    factor = float(source.scales[0]) * weights.scales.astype(np.float64) / float(target.scales[0])
    offset = _bias(summary, operator) * factor + _zero_point(target)
    low = (up * min(least, 0) + down * max(most, 0)) * factor + offset
    high = (up * max(most, 0) + down * min(least, 0)) * factor + offset
    clamp = INTEGER_RANGE[target.dtype]
    return np.clip(np.rint(low), *clamp), np.clip(np.rint(high), *clamp)


def _bias(summary: Summary, operator: OperatorSummary) -> Array | float:
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return 0.0
    bias = summary.tensors[operator.inputs[2]]
    return bias.values.astype(np.float64) if bias.data is not None else 0.0


def _zero_point(tensor: TensorSummary) -> int:
    return int(tensor.zero_points[0]) if len(tensor.zero_points) else 0


def _coarse_weights(summary: Summary) -> Iterator[Finding]:
    """One scale for all channels, stretched by one of them, leaves the others a handful of integers."""
    for operator, weights in weighted(summary):
        if len(weights.scales) != 1 or weights.dtype != "int8":
            continue
        axis = CHANNEL_AXIS[operator.kind]
        others = tuple(i for i in range(len(weights.shape)) if i != axis)
        largest = np.abs(weights.values.astype(np.int64)).max(axis=others)
        coarse = int(((largest > 0) & (largest <= COARSE)).sum())
        if coarse:
            yield Finding(
                "warning",
                "scale_outlier",
                f"In {coarse} of {len(largest)} channels of {where(operator)} no weight is larger than "
                f"{COARSE} steps: others have stretched their common scale.",
                "Quantize with granularity=per_channel, or, unless that is done, equalise with optimize.",
            )


def _lost_inputs(summary: Summary) -> Iterator[Finding]:
    for operator in summary.operators:
        if operator.kind not in MIXING:
            continue
        output = summary.tensors[operator.outputs[0]]
        for index in operator.inputs:
            tensor = summary.tensors[index] if index >= 0 else output
            if len(tensor.scales) != 1 or len(output.scales) != 1 or tensor.dtype not in INTEGER_RANGE:
                continue
            low, high = INTEGER_RANGE[tensor.dtype]
            if float(tensor.scales[0]) * (high - low) < LOST * float(output.scales[0]):
                yield Finding(
                    "warning",
                    "scale_outlier",
                    f"The whole range of '{tensor.name}' is less than half a step of the output of "
                    f"{where(operator)}: it changes nothing there.",
                    "The other input has an outlier; look at the calibration samples, or clip it.",
                )


def _saturated_biases(summary: Summary) -> Iterator[Finding]:
    low, high = INTEGER_RANGE["int32"]
    for operator, _ in weighted(summary):
        bias = _bias(summary, operator)
        if isinstance(bias, np.ndarray) and ((bias == low) | (bias == high)).any():
            yield Finding(
                "error",
                "bias_saturated",
                f"Biases of {where(operator)} are at the end of int32 and were cut off there.",
                "Their channels have almost no weights; prune them, or use scheme=int16x8 with int64 biases.",
            )

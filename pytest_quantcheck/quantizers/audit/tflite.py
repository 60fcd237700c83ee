"""Is a ``.tflite`` artefact what was asked for? Read from the flatbuffer itself, never from an interpreter.

TensorFlow's interpreter shows the scales of FULLY_CONNECTED weights once per row although the file holds one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pytest_quantcheck.finding import Finding
from pytest_quantcheck.formats.summary import OperatorSummary, Summary
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.formats.tflite_weights import CHANNEL_AXIS, DYNAMIC_FROM
from pytest_quantcheck.quantizers.audit.findings import another_edge_type, another_granularity, wrong_scales
from pytest_quantcheck.quantizers.audit.substitutes import layer_of, substitute_for
from pytest_quantcheck.quantizers.audit.values import (
    INTEGER_RANGE,
    MIXING,
    another_scheme,
    audit_values,
    weighted,
    where,
)
from pytest_quantcheck.quantizers.config import QuantConfig

# one scale is allowed for the rows of FULLY_CONNECTED in either granularity
PER_CHANNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
EDGES = ("QUANTIZE", "DEQUANTIZE")
# scheme with float activations -> type of its weights
WEIGHTS_ONLY = {"dynamic": "int8", "float16": "float16", "float32": "float32"}
ACTIVATIONS = {"int8": ("int8", "uint8"), "int16x8": ("int16",)}
BIAS_TOLERANCE = 1e-5  # relative; the quantizers compute input scale * weight scale in float32


def audit_tflite(artefact: bytes, config: QuantConfig | None = None) -> tuple[Finding, ...]:
    """Everything worth knowing about a ``.tflite`` artefact; with ``config`` also what differs from it.

    Raises ``ModelError`` when the bytes are no ``.tflite`` file.
    """
    summary = read_tflite_summary(artefact)
    integers = config is None or config.scheme not in WEIGHTS_ONLY
    checks: list[Callable[[Summary], Iterator[Finding]]] = [_structure, _axes, _parameters]
    checks += [_float_operators, _biases] if integers else []
    findings = [finding for check in checks for finding in check(summary)]
    if not findings and integers:
        findings += audit_values(summary)
    if config is not None:
        findings += _scheme(summary, config)
        findings += _edge_types(summary, config)
        findings += _granularity(summary, config)
    return tuple(findings)


def granularity_of(summary: Summary) -> str:
    """``per_channel`` when any weights have several scales, else ``per_tensor``; ``""`` in float."""
    weights = [w for _, w in weighted(summary) if len(w.scales)]
    if not weights:
        return ""
    return "per_channel" if any(len(w.scales) > 1 for w in weights) else "per_tensor"


def _structure(summary: Summary) -> Iterator[Finding]:
    if summary.has_control_flow:
        yield Finding(
            "error",
            "subgraphs",
            f"The model has {summary.subgraphs} subgraphs.",
            "Networks with control flow are not supported; unroll loops and conditions.",
        )
    for operator in summary.operators:
        if operator.kind.startswith("CUSTOM:"):
            yield Finding(
                "error",
                "custom_operator",
                f"{where(operator)} is not part of TFLite.",
                "Build the layer from TFLite's own operators.",
            )
        if operator.kind in (*CHANNEL_AXIS, *MIXING) and _incomplete(operator):
            yield Finding(
                "error",
                "incomplete_operator",
                f"{where(operator)} lacks an input or its output.",
                "The file is damaged or was written by a faulty converter; convert the model again.",
            )
    for tensor in summary.input_tensors:
        if not tensor.shape or tensor.shape[0] != 1:
            yield Finding(
                "error",
                "batch",
                f"Input '{tensor.name}' has the shape {tensor.shape}.",
                "A microcontroller runs one sample at a time; convert with batch 1.",
            )


def _incomplete(operator: OperatorSummary) -> bool:
    return not operator.outputs or not operator.inputs or operator.inputs[0] < 0


def _float_operators(summary: Summary) -> Iterator[Finding]:
    """Float tensors may exist at the edges only: into the first QUANTIZE, out of the last DEQUANTIZE."""
    edges = {*summary.inputs, *summary.outputs}
    for operator in summary.operators:
        tensors = [summary.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
        floating = [t for t in tensors if t.dtype in ("float32", "float16") and t.data is None]
        if not floating:
            weights = [t for t in tensors if t.dtype in ("float32", "float16")]
            if weights:
                yield _left_in_float(summary, operator, f"has float constants ('{weights[0].name}')")
        elif operator.kind not in EDGES:
            yield _left_in_float(summary, operator, "computes in float")
        elif not edges.issuperset(t.index for t in floating):
            yield _left_in_float(
                summary, operator, "stands in the middle of the network, around a part left in float"
            )


def _left_in_float(summary: Summary, operator: OperatorSummary, how: str) -> Finding:
    return Finding(
        "error",
        "float_operator",
        f"{where(operator)} {how} (layer '{layer_of(summary, operator)}').",
        f"The quantizer has no integer version of something here; {substitute_for(operator.kind)}.",
    )


def _axes(summary: Summary) -> Iterator[Finding]:
    for operator, weights in weighted(summary):
        if len(weights.scales) < 2:
            continue
        axis = CHANNEL_AXIS[operator.kind]
        channels = weights.shape[axis] if axis < len(weights.shape) else -1
        if weights.axis != axis or len(weights.scales) != channels:
            yield Finding(
                "error",
                "quantized_dimension",
                f"The weights of {where(operator)} have {len(weights.scales)} scales along axis "
                f"{weights.axis}, but {channels} output channels along axis {axis}.",
                "The file is damaged or was written by a faulty quantizer; quantize again.",
            )


def _parameters(summary: Summary) -> Iterator[Finding]:
    for tensor in summary.tensors:
        if not len(tensor.scales):
            continue
        what = f"Tensor {tensor.index} ('{tensor.name}')"
        yield from wrong_scales(what, tensor.scales)
        low, high = INTEGER_RANGE.get(tensor.dtype, (0, 0))
        if len(tensor.zero_points) and (tensor.zero_points.min() < low or tensor.zero_points.max() > high):
            yield Finding(
                "error",
                "zero_point",
                f"{what} is {tensor.dtype}, with zero points from {tensor.zero_points.min()} "
                f"to {tensor.zero_points.max()}.",
                "A zero point is a value of the tensor's own type; quantize again.",
            )
    for operator, weights in weighted(summary):
        if weights.dtype == "int8" and weights.zero_points.any():
            yield Finding(
                "error",
                "asymmetric_weights",
                f"The weights of {where(operator)} have a zero point other than 0.",
                "The TFLite specification requires symmetric int8 weights; quantize again.",
            )


def _biases(summary: Summary) -> Iterator[Finding]:
    """A bias is int32 with the scale input * weights; anything else shifts every output."""
    for operator, weights in weighted(summary):
        if len(operator.inputs) < 3 or operator.inputs[2] < 0 or operator.kind == "TRANSPOSE_CONV":
            continue
        source, bias = summary.tensors[operator.inputs[0]], summary.tensors[operator.inputs[2]]
        if not len(source.scales) or not len(weights.scales):
            continue  # a float operator, which has a finding of its own
        expected = source.scales[0] * weights.scales
        fits = bias.dtype in ("int32", "int64") and len(bias.scales) in (1, len(expected))
        if not fits or not np.allclose(bias.scales, expected, rtol=BIAS_TOLERANCE, atol=0):
            yield Finding(
                "error",
                "bias",
                f"The bias of {where(operator)} is {bias.dtype}, its scale is not input * weight scale.",
                "The file is damaged or was written by a faulty quantizer; quantize again.",
            )


def _scheme(summary: Summary, config: QuantConfig) -> Iterator[Finding]:
    """The types inside the network are those of the scheme."""
    wrong: list[str] = []
    if config.scheme in WEIGHTS_ONLY:
        wanted, least = WEIGHTS_ONLY[config.scheme], DYNAMIC_FROM if config.scheme == "dynamic" else 1
        wrong = [
            f"the weights of {where(operator)} are {weights.dtype}"
            for operator, weights in weighted(summary)
            if weights.elements >= least and weights.dtype != wanted
        ]
        wrong += [
            f"tensor {tensor.index} ('{tensor.name}') is {tensor.dtype}"
            for tensor in summary.tensors
            if tensor.dtype in ("int8", "uint8", "int16", "float16")
            and (tensor.dtype != wanted or tensor.data is None)
        ]
    elif config.scheme in ACTIVATIONS:
        wrong = [
            f"{where(operator)} computes in {summary.tensors[index].dtype}"
            for operator in summary.operators
            if operator.kind not in EDGES
            for index in operator.outputs
            if summary.tensors[index].dtype in ("int8", "uint8", "int16")
            and summary.tensors[index].dtype not in ACTIVATIONS[config.scheme]
        ]
    yield from another_scheme(config.scheme, wrong)


def _edge_types(summary: Summary, config: QuantConfig) -> Iterator[Finding]:
    used = {index for op in summary.operators for index in (*op.inputs, *op.outputs)}
    for side, tensors in (("input", summary.input_tensors), ("output", summary.output_tensors)):
        for tensor in tensors:
            if tensor.index not in used:
                yield Finding(
                    "error",
                    f"{side}_unused",
                    f"{side.capitalize()} '{tensor.name}' belongs to no operator.",
                    "Leave it out of the model; what passes through unchanged needs no network.",
                )
            elif side == "input" or tensor.dtype not in ("int32", "int64") or len(tensor.scales):
                yield from another_edge_type(side, tensor.name, tensor.dtype, config)  # not of ARG_MAX


def _granularity(summary: Summary, config: QuantConfig) -> Iterator[Finding]:
    for operator, weights in weighted(summary):
        axis = CHANNEL_AXIS[operator.kind]
        channels = weights.shape[axis] if axis < len(weights.shape) else 1
        scales = len(weights.scales)
        can = operator.kind in PER_CHANNEL
        yield from another_granularity(where(operator), scales, channels, config, can_be_per_channel=can)

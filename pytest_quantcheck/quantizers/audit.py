"""Is the artefact what was asked for? Read from the flatbuffer itself, never from an interpreter.

TensorFlow's interpreter shows the scales of FULLY_CONNECTED weights once per row although the file holds one.
Every finding has a stable code, a sentence and a remedy; an error means that the artefact must not be used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pytest_quantcheck.data.finding import Finding
from pytest_quantcheck.errors import QuantizationError
from pytest_quantcheck.graph.artefact import is_onnx
from pytest_quantcheck.graph.flatbuffer import OperatorSummary, Summary, TensorSummary, read_summary
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.onnx_audit import audit_onnx

# operator kind -> axis of its output channels in the weights (TFLite quantization specification)
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
# one scale is allowed for the rows of FULLY_CONNECTED in either granularity
PER_CHANNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
EDGES = ("QUANTIZE", "DEQUANTIZE")
INTEGER_RANGE = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "int32": (-(2**31), 2**31 - 1),
}
BIAS_TOLERANCE = 1e-5  # relative; the quantizers compute input scale * weight scale in float32


def audit(artefact: bytes, config: QuantConfig | None = None) -> tuple[Finding, ...]:
    """Everything worth knowing about an artefact; with ``config`` also what differs from it.

    Raises ``ModelError`` when the bytes are neither a ``.tflite`` nor an ``.onnx`` file.
    """
    if is_onnx(artefact):
        return audit_onnx(artefact, config)
    summary = read_summary(artefact)
    checks: list[Callable[[Summary], Iterator[Finding]]] = [
        _structure,
        _float_operators,
        _axes,
        _parameters,
        _biases,
    ]
    findings = [finding for check in checks for finding in check(summary)]
    if config is not None:
        findings += _edge_types(summary, config)
        findings += _granularity(summary, config)
    return tuple(findings)


def require(findings: tuple[Finding, ...], name: str) -> tuple[Finding, ...]:
    """The findings that are no errors. Raises ``QuantizationError`` that lists the errors."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        lines = "\n".join(f"  [{finding.code}] {finding.sentence} {finding.remedy}" for finding in errors)
        raise QuantizationError(f"the quantized model '{name}' is not what was asked for:\n{lines}")
    return findings


def granularity_of(summary: Summary) -> str:
    """``per_channel`` when any weights have several scales, else ``per_tensor``; ``""`` in float."""
    weights = [w for _, w in _weights(summary) if len(w.scales)]
    if not weights:
        return ""
    return "per_channel" if any(len(w.scales) > 1 for w in weights) else "per_tensor"


def _where(operator: OperatorSummary) -> str:
    return f"operator {operator.index} ({operator.kind})"


def _weights(summary: Summary) -> Iterator[tuple[OperatorSummary, TensorSummary]]:
    """Operators with constant weights, and those weights."""
    for operator in summary.operators:
        if operator.kind in CHANNEL_AXIS and len(operator.inputs) > 1 and operator.inputs[1] >= 0:
            weights = summary.tensors[operator.inputs[1]]
            if weights.data is not None:
                yield operator, weights


def _structure(summary: Summary) -> Iterator[Finding]:
    if summary.subgraphs != 1:
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
                f"{_where(operator)} is not part of TFLite.",
                "Build the layer from TFLite's own operators.",
            )
    for tensor in summary.input_tensors:
        if not tensor.shape or tensor.shape[0] != 1:
            yield Finding(
                "error",
                "batch",
                f"Input '{tensor.name}' has the shape {tensor.shape}.",
                "A microcontroller runs one sample at a time; convert with batch 1.",
            )


def _float_operators(summary: Summary) -> Iterator[Finding]:
    """Float tensors may exist at the edges only: into the first QUANTIZE, out of the last DEQUANTIZE."""
    for operator in summary.operators:
        tensors = [summary.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
        floating = [t for t in tensors if t.dtype in ("float32", "float16") and t.data is None]
        if not floating:
            weights = [t for t in tensors if t.dtype in ("float32", "float16")]
            if weights:
                yield _left_in_float(operator, f"has float constants ('{weights[0].name}')")
        elif operator.kind not in EDGES:
            yield _left_in_float(operator, "computes in float")
        elif not all(t.index in summary.inputs or t.index in summary.outputs for t in floating):
            yield _left_in_float(operator, "stands in the middle of the network, around a part left in float")


def _left_in_float(operator: OperatorSummary, how: str) -> Finding:
    return Finding(
        "error",
        "float_operator",
        f"{_where(operator)} {how}.",
        "The quantizer has no integer version of something here; replace the layer by one that it knows.",
    )


def _axes(summary: Summary) -> Iterator[Finding]:
    for operator, weights in _weights(summary):
        if len(weights.scales) < 2:
            continue
        axis = CHANNEL_AXIS[operator.kind]
        channels = weights.shape[axis] if axis < len(weights.shape) else -1
        if weights.axis != axis or len(weights.scales) != channels:
            yield Finding(
                "error",
                "quantized_dimension",
                f"The weights of {_where(operator)} have {len(weights.scales)} scales along axis "
                f"{weights.axis}, but {channels} output channels along axis {axis}.",
                "The file is damaged or was written by a faulty quantizer; quantize again.",
            )


def _parameters(summary: Summary) -> Iterator[Finding]:
    for tensor in summary.tensors:
        if not len(tensor.scales):
            continue
        what = f"Tensor {tensor.index} ('{tensor.name}')"
        if not np.isfinite(tensor.scales).all() or (tensor.scales <= 0).any():
            worst = tensor.scales[~(np.isfinite(tensor.scales) & (tensor.scales > 0))][0]
            yield Finding(
                "error",
                "scale",
                f"{what} has the scale {worst:g}.",
                "Scales are positive and finite; look for NaN in the weights and calibration samples.",
            )
        low, high = INTEGER_RANGE.get(tensor.dtype, (0, 0))
        if len(tensor.zero_points) and (tensor.zero_points.min() < low or tensor.zero_points.max() > high):
            yield Finding(
                "error",
                "zero_point",
                f"{what} is {tensor.dtype}, with zero points from {tensor.zero_points.min()} "
                f"to {tensor.zero_points.max()}.",
                "A zero point is a value of the tensor's own type; quantize again.",
            )
    for operator, weights in _weights(summary):
        if weights.dtype == "int8" and weights.zero_points.any():
            yield Finding(
                "error",
                "asymmetric_weights",
                f"The weights of {_where(operator)} have a zero point other than 0.",
                "The TFLite specification wants symmetric int8 weights; quantize again.",
            )


def _biases(summary: Summary) -> Iterator[Finding]:
    """A bias is int32 with the scale input * weights; anything else shifts every output."""
    for operator, weights in _weights(summary):
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
                f"The bias of {_where(operator)} is {bias.dtype}, its scale is not input * weight scale.",
                "The file is damaged or was written by a faulty quantizer; quantize again.",
            )


def _edge_types(summary: Summary, config: QuantConfig) -> Iterator[Finding]:
    for side, wanted, tensors in (
        ("input", config.input_type, summary.input_tensors),
        ("output", config.output_type, summary.output_tensors),
    ):
        for tensor in tensors:
            if tensor.dtype != wanted:
                yield Finding(
                    "error",
                    f"{side}_type",
                    f"{side.capitalize()} '{tensor.name}' is {tensor.dtype}, {wanted} was asked for.",
                    f"Quantize again with {side}_type={wanted}, or ask for {side}_type={tensor.dtype}.",
                )


def _granularity(summary: Summary, config: QuantConfig) -> Iterator[Finding]:
    for operator, weights in _weights(summary):
        axis = CHANNEL_AXIS[operator.kind]
        channels = weights.shape[axis] if axis < len(weights.shape) else 1
        scales = len(weights.scales)
        if config.granularity == "per_tensor" and scales > 1:
            asked = "one scale (per_tensor) was asked for"
        elif config.granularity == "per_channel" and scales == 1 < channels and operator.kind in PER_CHANNEL:
            asked = "one per channel (per_channel) was asked for"
        else:
            continue
        yield Finding(
            "error",
            "granularity",
            f"The weights of {_where(operator)} have {scales} scale(s) for {channels} channels, {asked}.",
            f"Quantize again with granularity={config.granularity}, or ask for what the file holds.",
        )

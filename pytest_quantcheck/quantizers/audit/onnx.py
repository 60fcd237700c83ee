"""Is an ONNX artefact what was asked for? Read from the file itself.

In a QDQ model every operator stands between DequantizeLinear and QuantizeLinear; one that does not computes
in float.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pytest_quantcheck.errors import UnsupportedOperatorError
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.formats.onnx import (
    CUSTOM,
    attributes,
    constants,
    damage_told,
    graph_inputs,
    kind_of,
    parse,
    quantization_of,
    value_type,
)
from pytest_quantcheck.formats.onnx_form import other_form
from pytest_quantcheck.formats.summary import OperatorSummary, Summary, TensorSummary
from pytest_quantcheck.formats.tflite_weights import CHANNEL_AXIS
from pytest_quantcheck.graph.from_onnx.read import read_onnx
from pytest_quantcheck.graph.from_onnx.rules import SUPPORTED
from pytest_quantcheck.graph.model import Operator, QuantGraph, Tensor
from pytest_quantcheck.quantizers.audit.findings import another_edge_type, another_granularity, wrong_scales
from pytest_quantcheck.quantizers.audit.substitutes import substitute_for
from pytest_quantcheck.quantizers.audit.values import another_scheme, audit_values
from pytest_quantcheck.quantizers.config import QuantConfig

OTHER_FORM = "other_form"
QDQ = ("QuantizeLinear", "DequantizeLinear")
FUSED = ("Relu", "Clip")  # between an operator and its QuantizeLinear: a clamp of the integers
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
PER_CHANNEL = ("Conv",)  # one scale is allowed for the rows of Gemm and MatMul in either granularity


def audit_onnx(artefact: bytes, config: QuantConfig | None = None) -> tuple[Finding, ...]:
    """Everything worth knowing about a QDQ artefact; with ``config`` also what differs from it.

    Raises ``ModelError`` when the bytes are no ONNX model.
    """
    with damage_told():
        graph = parse(artefact).graph
        if form := other_form(graph):
            return (Finding("error", OTHER_FORM, *form),)
        file = _File(graph)
        findings = [*_custom(file), *_float_operators(file), *_parameters(file)]
        if not findings:
            findings += _values(file, artefact)
        if config is not None:
            findings += [*_scheme(file, config), *_edge_types(file, config), *_granularity(file, config)]
    return tuple(findings)


class _File:
    """The graph with its look-ups."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.nodes = list(graph.node)
        self.values = constants(graph)
        self.quantization = quantization_of(graph, self.values)
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.readers: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.outputs = {info.name for info in graph.output}
        self._positions = {id(node): position for position, node in enumerate(self.nodes)}

    def where(self, node: Any) -> str:
        """How findings name one of ``nodes``."""
        name = f" '{node.name}'" if node.name else ""
        return f"operator {self._positions[id(node)]} ({kind_of(node)}{name})"


def _custom(file: _File) -> Iterator[Finding]:
    for node in file.nodes:
        if kind_of(node).startswith(CUSTOM):
            yield Finding(
                "error",
                "custom_operator",
                f"{file.where(node)} is not part of ONNX.",
                "Build the layer from ONNX's own operators.",
            )


def _float_operators(file: _File) -> Iterator[Finding]:
    for node in file.nodes:
        kind = kind_of(node)
        if kind in (*QDQ, "Constant"):
            continue
        if missing := [*_float_inputs(file, node), *_float_outputs(file, node)]:
            without = ", ".join(f"'{name}'" for name in dict.fromkeys(missing))
            remedy = f"onnxruntime's quantizer has no integer version of it; {substitute_for(kind)}."
            if kind in SUPPORTED:
                remedy = "Quantize again without leaving it out (nodes_to_exclude, op_types_to_quantize)."
            told = f"{file.where(node)} computes in float: {without} without a scale."
            yield Finding("error", "float_operator", told, remedy)


def _float_inputs(file: _File, node: Any) -> Iterator[str]:
    """Inputs that are no constants, and come neither from a DequantizeLinear nor from the operator that a
    clamp follows; of a layer with weights those, too.
    """
    for place, name in enumerate(node.input):
        maker = file.makers.get(name)
        weights = kind_of(node) in WEIGHTED and place == 1
        if not name or (name in file.values and not weights):
            continue
        if maker is not None and maker.op_type == "DequantizeLinear":
            continue
        if maker is None or kind_of(node) not in FUSED or len(file.readers[name]) != 1:
            yield name


def _float_outputs(file: _File, node: Any) -> Iterator[str]:
    for name in node.output:
        readers = file.readers.get(name, [])
        fused = len(readers) == 1 and kind_of(readers[0]) in FUSED
        if name in file.outputs or not (fused or all(r.op_type == "QuantizeLinear" for r in readers)):
            yield name


def _parameters(file: _File) -> Iterator[Finding]:
    for name, (scales, _, _, _) in file.quantization.items():
        yield from wrong_scales(f"Tensor '{name}'", scales)
    for node, name, _ in _weights(file):
        _, zeros, _, dtype = file.quantization[name]
        if dtype == "int8" and zeros.any():
            yield Finding(
                "error",
                "asymmetric_weights",
                f"The weights of {file.where(node)} have a zero point other than 0.",
                "int8 weights are symmetric here; quantize again.",
            )


def _weights(file: _File) -> Iterator[tuple[Any, str, int]]:
    """Operators with constant weights: the name of their integers and their number of output channels."""
    for node in file.nodes:
        if kind_of(node) not in WEIGHTED:
            continue
        maker = file.makers.get(node.input[1])
        if maker is None or maker.op_type != "DequantizeLinear" or maker.input[0] not in file.values:
            continue
        shape = file.values[maker.input[0]].shape
        by_rows = kind_of(node) == "Conv" or (kind_of(node) == "Gemm" and attributes(node).get("transB", 0))
        yield node, maker.input[0], shape[0 if by_rows else 1]


def _values(file: _File, artefact: bytes) -> Iterator[Finding]:
    """What the numbers can express, of those networks that run in integers."""
    try:
        graph = read_onnx(artefact)
    except UnsupportedOperatorError:
        return
    for finding in audit_values(_as_summary(file, graph)):
        if finding.code != "per_channel_dense":  # of runtimes that read TFLite files
            yield finding


def _as_summary(file: _File, graph: QuantGraph) -> Summary:
    """The integer graph in the terms of ``audit_values``."""
    return Summary(
        tuple(
            OperatorSummary(op.index, _kind(file, graph, op), op.inputs, op.outputs) for op in graph.operators
        ),
        tuple(_tensor(tensor) for tensor in graph.tensors),
        graph.inputs,
        graph.outputs,
        1,
        "",
        "half_even",
    )


def _kind(file: _File, graph: QuantGraph, op: Operator) -> str:
    """The graph's, but for operators whose weights are not the model's own, or not symmetric."""
    pool = op.index < len(file.nodes) and kind_of(file.nodes[op.index]) == "AveragePool"
    weights = graph.tensors[op.inputs[1]] if op.kind in CHANNEL_AXIS else None
    shifted = (
        weights is not None and weights.quantization is not None and weights.quantization.zero_point.any()
    )
    return f"UNWEIGHTED:{op.kind}" if pool or shifted else op.kind


def _tensor(tensor: Tensor) -> TensorSummary:
    q, data = tensor.quantization, tensor.data
    return TensorSummary(
        tensor.index,
        tensor.name,
        tensor.shape,
        tensor.dtype.name,
        q.scale if q else np.zeros(0, np.float32),
        q.zero_point if q else np.zeros(0, np.int64),
        q.axis if q else 0,
        None if data is None else np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8),
    )


def _scheme(file: _File, config: QuantConfig) -> Iterator[Finding]:
    """All activations have the type that the scheme is named after."""
    wanted = {"int16x8": "int16"}.get(config.scheme, config.scheme)
    wrong = [
        f"tensor '{name}' is {dtype}"
        for name, (_, _, _, dtype) in file.quantization.items()
        if name not in file.values and dtype != wanted
    ]
    yield from another_scheme(config.scheme, wrong)


def _edge_types(file: _File, config: QuantConfig) -> Iterator[Finding]:
    for side, edges in (("input", graph_inputs(file.graph)), ("output", file.graph.output)):
        for info in edges:
            yield from another_edge_type(side, info.name, value_type(info)[1], config)


def _granularity(file: _File, config: QuantConfig) -> Iterator[Finding]:
    for node, weights, channels in _weights(file):
        scales = len(file.quantization[weights][0])
        yield from another_granularity(
            file.where(node), scales, channels, config, can_be_per_channel=kind_of(node) in PER_CHANNEL
        )

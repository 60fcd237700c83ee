"""How many multiply-accumulates an operator takes, by its definition: what a kernel skips is counted too."""

from __future__ import annotations

import math

from pytest_quantcheck.graph.model import (
    BatchMatMul,
    Convolution,
    FullyConnected,
    Lstm,
    Operator,
    QuantGraph,
    TransposedConvolution,
)


def operator_macs(graph: QuantGraph, operator: Operator) -> int:
    """Products that are summed in one inference; 0 of operators that sum none.

    Cells in the padding count, as they do in the usual figures: a convolution has
    ``outputs * kernel_h * kernel_w * channels`` (of its group), a dense layer ``outputs * depth``.
    """
    outputs = math.prod(graph.output_of(operator).shape)
    if isinstance(operator.params, Convolution):
        _, *kernel = graph.tensors[operator.inputs[1]].shape
        return outputs * math.prod(kernel[:2] if operator.params.depth_multiplier else kernel)
    if isinstance(operator.params, TransposedConvolution):
        channels, *kernel, _ = graph.tensors[operator.inputs[1]].shape
        return math.prod(graph.tensors[operator.inputs[0]].shape) * channels * math.prod(kernel)
    if isinstance(operator.params, FullyConnected):
        return outputs * graph.tensors[operator.inputs[1]].shape[1]
    if isinstance(operator.params, BatchMatMul):
        shape = graph.tensors[operator.inputs[0]].shape
        return outputs * shape[-2 if operator.params.adj_x else -1]
    if isinstance(operator.params, Lstm):
        features = graph.tensors[operator.inputs[0]].shape[-1]
        return 4 * outputs * (features + graph.output_of(operator).shape[-1])
    return 0


def graph_macs(graph: QuantGraph) -> int:
    """Of all operators."""
    return sum(operator_macs(graph, operator) for operator in graph.operators)

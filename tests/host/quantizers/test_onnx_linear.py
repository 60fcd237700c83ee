"""Our share of quantizing an ONNX model takes time in proportion to its size; onnxruntime's does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

from conformance_models.onnx_nets import Net
from pytest_quantcheck.graph.from_onnx.read import read_onnx
from pytest_quantcheck.quantizers.audit.audit import audit
from pytest_quantcheck.quantizers.onnx.edges import fold_edges
from pytest_quantcheck.quantizers.onnx.rewrite import rewrite, sort

pytestmark = pytest.mark.host

OPSET = 17
FEW, MANY = 1_000, 3_000  # nodes
MOST = 7.0  # times as long for three times as many: what is quadratic takes nine times as long


def branches(nodes: int, edge: str = "float32") -> Any:
    """A quantized Relu from each of many inputs to an output of its own: five nodes each, three with
    integer edges."""
    net = Net()
    scale, zero = net.constant(0.1), net.constant(0, np.int8)
    outputs = {}
    for i in range(nodes // 5):
        x = net.input(f"x{i}", 1, 4, dtype=edge)
        x = net.op("QuantizeLinear", x, scale, zero) if edge == "float32" else x
        x = net.op("Relu", net.op("DequantizeLinear", x, scale, zero))
        x = net.op("QuantizeLinear", x, scale, zero)
        x = net.op("DequantizeLinear", x, scale, zero) if edge == "float32" else x
        outputs[x] = (1, 4)
    return onnx.load_from_string(net.model(outputs, edge))


def chain(nodes: int, kind: str) -> Any:
    """Float operators with a constant, one behind the other."""
    net = Net()
    x = net.input("x", 1, 4)
    for _ in range(nodes):
        x = net.op(kind, x, net.normal(4))
    return onnx.shape_inference.infer_shapes(onnx.load_from_string(net.model({x: (1, 4)})))


def edges(model: Any) -> None:
    fold_edges(model.graph, inputs=True, outputs=True)
    sort(model.graph)
    assert {node.op_type for node in model.graph.node} == {"DequantizeLinear", "Relu", "QuantizeLinear"}


def findings(model: Any) -> None:
    assert len(audit(model.SerializeToString())) == len(model.graph.node)


def reading(model: Any) -> None:
    assert len(read_onnx(model.SerializeToString()).outputs) == len(model.graph.output)


def rewriting(model: Any) -> None:
    assert rewrite(model.graph, OPSET) == len(model.graph.node) // 4


STEPS: dict[str, tuple[Callable[[Any], None], Callable[[int], Any]]] = {
    "fold edges": (edges, branches),
    "audit": (findings, lambda nodes: chain(nodes, "Add")),
    "read": (reading, lambda nodes: branches(nodes, "int8")),
    "rewrite": (rewriting, lambda nodes: chain(nodes, "PRelu")),
}


@pytest.mark.parametrize("step", STEPS)
def test_three_times_as_many_nodes_take_about_three_times_as_long(step: str) -> None:
    work, build = STEPS[step]

    def seconds(nodes: int) -> float:
        """Of the processor, which other processes do not stretch; the better of two."""
        taken = []
        for _ in range(2):
            model = build(nodes)
            start = time.process_time()
            work(model)
            taken.append(time.process_time() - start)
        return min(taken)

    assert seconds(MANY) < MOST * seconds(FEW)

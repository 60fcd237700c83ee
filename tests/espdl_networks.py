"""Float networks that esp-ppq and we quantize alike, and their samples; drawn from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from pytest_quantcheck.data.dataset import Samples

Array = npt.NDArray[Any]


def network(seed: int) -> bytes:
    """NCHW (3, 16, 16) to 10 values: convolutions, depthwise too, a residual, pools, a dense layer."""
    rng = np.random.default_rng(seed)
    constants: list[Any] = []
    nodes: list[Any] = []

    def constant(values: Array, name: str) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def conv(
        x: str, outputs: int, inputs: int, kernel: int, name: str, group: int = 1, stride: int = 1
    ) -> str:
        depth = inputs // group
        scale = (2 / (depth * kernel * kernel)) ** 0.5
        weights = constant(rng.normal(0, scale, (outputs, depth, kernel, kernel)), f"{name}_w")
        bias = constant(rng.normal(0, 0.2, outputs), f"{name}_b")
        how = {
            "kernel_shape": [kernel] * 2,
            "pads": [kernel // 2] * 4,
            "strides": [stride] * 2,
            "group": group,
        }
        nodes.append(helper.make_node("Conv", [x, weights, bias], [f"{name}_c"], name, **how))
        return f"{name}_c"

    def relu(x: str, name: str) -> str:
        nodes.append(helper.make_node("Relu", [x], [f"{name}_r"], f"{name}_relu"))
        return f"{name}_r"

    a = relu(conv("x", 8, 3, 3, "c1"), "c1")
    b = relu(conv(a, 8, 8, 3, "d1", group=8), "d1")
    c = conv(b, 8, 8, 1, "p1")
    nodes.append(helper.make_node("Add", [a, c], ["a1"], "a1"))
    nodes.append(helper.make_node("MaxPool", ["a1"], ["m1"], "m1", kernel_shape=[2, 2], strides=[2, 2]))
    d = relu(conv("m1", 16, 8, 3, "c2", stride=2), "c2")
    nodes.append(helper.make_node("GlobalAveragePool", [d], ["g1"], "g1"))
    nodes.append(helper.make_node("Flatten", ["g1"], ["f1"], "f1"))
    w = constant(rng.normal(0, 0.3, (10, 16)), "fc_w")
    bias = constant(rng.normal(0, 0.3, 10), "fc_b")
    nodes.append(helper.make_node("Gemm", ["f1", w, bias], ["y"], "fc", transB=1))
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 3, 16, 16]), ("y", [1, 10]))
    )
    graph = helper.make_graph(nodes, "n", [x], [y], constants)
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def samples(seed: int) -> Samples:
    """16 of them."""
    rng = np.random.default_rng(100 + seed)
    rows = [rng.normal(0, 1, (1, 3, 16, 16)).astype(np.float32) for _ in range(16)]
    return Samples(np.concatenate(rows))

"""Each rewriting computes the same float function: onnxruntime runs the graph before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from conformance_models.onnx_nets import Net
from pytest_quantcheck.quantizers.onnx.rewrite import rewrite

pytestmark = pytest.mark.host
OPSET = 17

Build = Callable[[Net, str], str]


def run(model: Any, x: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {"x": x})[0]


def network(build: Build, shape: tuple[int, ...]) -> Any:
    net = Net(1)
    model = onnx.load_from_string(net.model({build(net, net.input("x", *shape)): ()}))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(model)


def op(kind: str, *constants: Any, dtype: Any = np.float32, **attributes: Any) -> Build:
    return lambda net, x: net.op(kind, x, *(net.constant(c, dtype) for c in constants), **attributes)


def listed(kind: str, values: Any, **attributes: Any) -> Build:
    """An operator with a constant list of integers behind its input."""
    return op(kind, values, dtype=np.int64, **attributes)


def above(kind: str, *constants: Any) -> Build:
    """An operator on values from 1 on."""
    return lambda net, x: op(kind, *constants)(net, net.op("Clip", x, net.constant(1.0)))


def divided(net: Net, x: str) -> str:
    return net.op("Div", x, net.op("Exp", x))


def kernels(inputs: int, outputs: int, *size: int) -> Any:
    return np.random.default_rng(2).normal(size=(inputs, outputs, *size))


def gather(indices: Any, axis: int) -> Build:
    return op("Gather", indices, dtype=np.int64, axis=axis)


def per_channel(*values: float) -> Any:
    return np.reshape(values, (-1, 1, 1))


NORM = ([0.5, -1, 2], [1, 2, 3], [0.1, -0.2, 0.3], [0.5, 1, 2])
REWRITTEN: list[tuple[Build, tuple[int, ...]]] = [
    *((op("BatchNormalization", *NORM), (1, 3, *(4,) * axes)) for axes in range(4)),
    (op("BatchNormalization", *NORM, epsilon=0.5), (1, 3, 4)),
    (op("Div", per_channel(0.5, 3, -7)), (1, 3, 4, 4)),
    *(
        (op("PRelu", slopes), (1, 3, 4, 4))
        for slopes in ([0.3], [0.1, 0.2, -0.3, 2], per_channel(0.1, 2, -1))
    ),
    *((gather(indices, 2), (1, 3, 4)) for indices in (2, -1, [2], [0, 2], [3, 1], [3, 2, 1, 0], [-1, -2])),
    *((op("GlobalMaxPool"), (1, 2, *(3, 4, 5)[:axes])) for axes in (1, 2, 3)),
    (op("DepthToSpace", blocksize=2), (1, 8, 3, 5)),
    (op("DepthToSpace", blocksize=3, mode="CRD"), (1, 18, 2, 4)),
    (op("SpaceToDepth", blocksize=3), (1, 2, 3, 9)),
    (divided, (1, 3, 4)),
    *((op("LayerNormalization", *NORM[:n]), (1, 4, 3)) for n in (1, 2)),
    (op("LayerNormalization", np.ones((2, 3)), axis=1, epsilon=0.3), (1, 2, 3)),
    *((op("InstanceNormalization", *NORM[:2], epsilon=0.1), (1, 3, *(4, 5)[:axes])) for axes in (1, 2)),
    (op("LogSoftmax", axis=1), (1, 3, 4)),
    *((listed("ReduceSum", axes, keepdims=keep), (1, 3, 4)) for axes in ([1], [-1, 1]) for keep in (0, 1)),
    *((op("ReduceMin", axes=axes, keepdims=keep), (1, 3, 4)) for axes in ([1], [2, 1]) for keep in (0, 1)),
    *((op("Pow", exponent), (1, 3)) for exponent in (1.0, 2.0, 3.0, [-1.0])),
    (above("Pow", 0.5), (1, 3)),
    *((op("Gemm", kernels(4, 3), bias), (1, 4)) for bias in (0.5, [0.5], [[0.5]], [[1, 2, 3]])),
    (op("Gemm", kernels(3, 4), [1, 2, 3], transB=1, alpha=0.3, beta=2.0), (1, 4)),
    (op("Gemm", kernels(4, 3), alpha=0.3), (1, 4)),
    (listed("Tile", [1, 2, 3]), (1, 3, 4)),
    (listed("Expand", [3, 4]), (1, 1, 4)),
    (listed("Expand", [1, 1]), (1, 3, 4)),
    *((listed("Pad", [0, 0, 1, 0, 2, 0], mode=mode), (1, 3, 4)) for mode in ("reflect", "edge")),
    (listed("Pad", [0, 0, 3, 0, 0, 3], mode="reflect"), (1, 3, 4)),
]
REPLACED_WEIGHTS: list[tuple[Build, tuple[int, ...]]] = [
    (op("ConvTranspose", kernels(4, 3, 2, 2), group=2, strides=[2, 2]), (1, 4, 3, 5)),
    (op("ConvTranspose", kernels(4, 1, 3), [1, 2, 3, 4], group=4, strides=[2], pads=[1, 0]), (1, 4, 5)),
    (
        op("ConvTranspose", kernels(2, 3, 2, 3), dilations=[3, 2], output_padding=[1, 0], strides=[2, 1]),
        (1, 2, 3, 5),
    ),
    (op("ConvTranspose", kernels(4, 2, 2), group=2, dilations=[2]), (1, 4, 5)),
]
KEPT: list[tuple[Build, tuple[int, ...]]] = [
    (op("Div", [0.0, 1, 2]), (1, 3)),
    (op("Div", [1e-39]), (1, 3)),
    (gather([0, 1, 3], 2), (1, 3, 4)),
    (gather([0, 0], 1), (1, 3, 4)),
    (gather([[0, 1]], 1), (1, 3, 4)),
    (op("BatchNormalization", *NORM, training_mode=1), (1, 3, 4)),
    (op("ConvTranspose", kernels(4, 3, 2), group=1), (1, 4, 5)),
    (op("Gemm", kernels(4, 3), [1, 2, 3]), (1, 4)),
    (op("Pow", 1.7), (1, 3)),
    (listed("Tile", [1, 1, 17]), (1, 3, 4)),
    (listed("Expand", [2, 1, 3, 4]), (1, 3, 4)),
    (listed("Pad", [0, 0, 1, 0, 2, 0]), (1, 3, 4)),
]


@pytest.mark.parametrize(("build", "shape"), REWRITTEN + REPLACED_WEIGHTS)
def test_a_rewritten_operator_is_the_same_function(build: Build, shape: tuple[int, ...]) -> None:
    model = network(build, shape)
    x = np.random.default_rng(0).normal(0, 3, shape).astype(np.float32)
    before, kind = run(model, x), model.graph.node[0].op_type
    assert rewrite(model.graph, OPSET) == 1
    node = next((node for node in model.graph.node if node.op_type == kind), None)
    assert node is None or kind in ("Gemm", "ConvTranspose", "Clip", "Exp")
    np.testing.assert_allclose(run(model, x), before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("build", "shape"), KEPT)
def test_what_would_be_another_function_stays(build: Build, shape: tuple[int, ...]) -> None:
    model = network(build, shape)
    before = model.SerializeToString()
    assert rewrite(model.graph, OPSET) == 0
    assert model.SerializeToString() == before


def test_names_that_the_graph_has_already_stay_what_they_are() -> None:
    def build(net: Net, x: str) -> str:
        net.constants.append(
            onnx.numpy_helper.from_array(np.float32(per_channel(5, 6, 7)[..., 0]), "t0_factor")
        )
        return net.op("Mul", op("BatchNormalization", *NORM)(net, x), "t0_factor")

    model = network(build, (1, 3, 4))
    x = np.ones((1, 3, 4), np.float32)
    before = run(model, x)
    assert rewrite(model.graph, OPSET) == 1
    np.testing.assert_allclose(run(model, x), before, rtol=1e-5)

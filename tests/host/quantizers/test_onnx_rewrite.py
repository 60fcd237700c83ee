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
]
KEPT: list[tuple[Build, tuple[int, ...]]] = [
    (op("Div", [0.0, 1, 2]), (1, 3)),
    (op("Div", [1e-39]), (1, 3)),
    (gather([0, 1, 3], 2), (1, 3, 4)),
    (gather([0, 0], 1), (1, 3, 4)),
    (gather([[0, 1]], 1), (1, 3, 4)),
    (op("BatchNormalization", *NORM, training_mode=1), (1, 3, 4)),
]


@pytest.mark.parametrize(("build", "shape"), REWRITTEN)
def test_a_rewritten_operator_is_the_same_function(build: Build, shape: tuple[int, ...]) -> None:
    model = network(build, shape)
    x = np.random.default_rng(0).normal(0, 3, shape).astype(np.float32)
    before, kind = run(model, x), model.graph.node[0].op_type
    assert rewrite(model.graph) == 1
    assert kind not in [node.op_type for node in model.graph.node]
    np.testing.assert_allclose(run(model, x), before, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("build", "shape"), KEPT)
def test_what_would_be_another_function_stays(build: Build, shape: tuple[int, ...]) -> None:
    model = network(build, shape)
    before = model.SerializeToString()
    assert rewrite(model.graph) == 0
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
    assert rewrite(model.graph) == 1
    np.testing.assert_allclose(run(model, x), before, rtol=1e-5)

"""Elements moved along more axes than an image holds: axes are merged where that is exact, else refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from conformance_models.onnx_nets import Net
from pytest_quantcheck.errors import UnsupportedOperatorError
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.from_onnx.read import read_onnx
from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.image.compile import compile_image

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host


def shuffled(parts: tuple[int, ...], order: tuple[int, ...], middle: str = "") -> QuantGraph:
    """An input of one axis per element count, reshaped to ``parts``, transposed, and flattened again."""
    net = Net()
    scale, zero = net.constant(0.1), net.constant(3, np.int8)

    def integer(x: str) -> str:
        return net.op("DequantizeLinear", net.op("QuantizeLinear", x, scale, zero), scale, zero)

    size = int(np.prod(parts))
    x = net.op("DequantizeLinear", net.input("x", 1, size, dtype="int8"), scale, zero)
    x = integer(net.op("Reshape", x, net.constant(parts, np.int64)))
    x = integer(net.op("Transpose", x, perm=order))
    if middle:
        x = integer(net.op(middle, x))
    x = net.op("Reshape", x, net.constant((1, size), np.int64))
    return read_onnx(net.model({net.op("QuantizeLinear", x, scale, zero): (1, size)}, "int8"))


@pytest.mark.parametrize(
    ("parts", "order"),
    [
        ((1, 2, 3, 4, 5, 2), (0, 3, 1, 4, 2, 5)),
        ((1, 3, 2, 2, 4, 5), (0, 1, 4, 2, 5, 3)),  # the pixel shuffle of image networks
        ((2, 1, 3, 1, 2, 1, 4), (6, 5, 4, 3, 2, 1, 0)),
        ((1, 1, 1, 1, 1, 1), (5, 4, 3, 2, 1, 0)),
        ((2, 2, 2, 2, 2, 2, 3), (2, 3, 0, 1, 4, 5, 6)),
    ],
)
def test_axes_are_merged_where_the_elements_stay_in_order(
    engine: Engine, parts: tuple[int, ...], order: tuple[int, ...]
) -> None:
    graph = shuffled(parts, order)
    x = np.random.default_rng(0).integers(-128, 128, (1, int(np.prod(parts)))).astype(np.int8)
    answer = engine.run_graph(graph, compile_image(graph).data, [x])
    assert answer.status == 0
    expected = execute.run(graph, [x])[graph.outputs[0]]
    assert expected is not None
    assert np.array_equal(expected.reshape(-1), x.reshape(parts).transpose(order).reshape(-1))
    assert answer.outputs == expected.tobytes()


@pytest.mark.parametrize(
    ("middle", "reason"),
    [
        ("", r"\(TRANSPOSE\): moves the elements of 't\d' along 6 axes; the engine can along 5"),
        ("Relu", r"operator 7 \(RELU\): tensor \d+ \(t\d\) has 6 dimensions; the engine has at most 5 here"),
    ],
)
def test_more_axes_are_refused_by_name_and_limit(middle: str, reason: str) -> None:
    order = (0, 1, 3, 2, 4, 5) if middle else (5, 4, 3, 2, 1, 0)
    graph = shuffled((2, 2, 2, 2, 2, 2), order, middle)
    with pytest.raises(UnsupportedOperatorError, match=reason):
        compile_image(graph)

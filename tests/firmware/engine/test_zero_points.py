"""Adding an output's zero point wraps at 32 bits, as TFLM's int32 does. The sanitizers end an engine whose
addition overflows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_quantcheck.graph.model import (
    Add,
    Convolution,
    FullyConnected,
    Mean,
    Operator,
    Params,
    QuantGraph,
    Requantize,
    Tensor,
    Window,
)
from pytest_quantcheck.image.compile import compile_image

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

CHANNELS = 4
DOUBLED = Requantize(np.asarray([2147483644]), np.asarray([1]))
CASES = {  # bias, output zero point: the int8 that comes out
    "wraps from the top": ((1 << 30) - 1, 127, -128),
    "just does not wrap": ((1 << 30) - 1, 5, 127),
    "wraps from the bottom": (-(1 << 30), -5, 127),
    "just does not wrap below": (-(1 << 30), -4, -128),
}


def outputs_of(
    engine: Engine, kind: str, params: Params, constants: list[np.ndarray], input_value: int
) -> list[int]:
    """What a graph of one operator makes of an input that is ``input_value`` throughout."""
    shapes = [(1, CHANNELS)] * 2 if kind == "FULLY_CONNECTED" else [(1, 1, 1, CHANNELS)] * 2
    if kind == "MEAN":
        shapes = [(1, 8, CHANNELS), (1, CHANNELS)]
    source = [Tensor(0, "", shapes[0], np.dtype("int8"))]
    source += [Tensor(1 + i, "", data.shape, data.dtype, data=data) for i, data in enumerate(constants)]
    output = len(source)
    tensors = (*source, Tensor(output, "", shapes[1], np.dtype("int8")))
    positions = (0, 0) if kind == "ADD" else tuple(range(output))
    op = Operator(0, kind, positions, (output,), params)
    graph = QuantGraph(tensors, (op,), (0,), (output,), "0f" * 32)
    answer = engine.run_graph(graph, compile_image(graph).data, [np.full(shapes[0], input_value, np.int8)])
    assert answer.status == 0
    return np.frombuffer(answer.outputs, np.int8).tolist()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "FULLY_CONNECTED - 5"])
def test_layers_wrap(engine, kind, case):
    bias, zero_point, expected = CASES[case]
    kind, _, weight_zero_point = kind.partition(" - ")
    shape = {"CONV_2D": (CHANNELS, 1, 1, CHANNELS), "DEPTHWISE_CONV_2D": (1, 1, 1, CHANNELS)}
    params = (
        FullyConnected(0, int(weight_zero_point or 0), zero_point, DOUBLED, -128, 127)
        if kind == "FULLY_CONNECTED"
        else Convolution(Window(1, 1), 0, zero_point, DOUBLED, -128, 127, int(kind != "CONV_2D"))
    )
    weights = np.zeros(shape.get(kind, (CHANNELS, CHANNELS)), np.int8)
    biases = np.full(CHANNELS, bias, np.int32)
    assert outputs_of(engine, kind, params, [weights, biases], 0) == [expected] * CHANNELS


@pytest.mark.parametrize(("zero_point", "expected"), [(-128, 127), (-1, -128)])
def test_mean_wraps(engine, zero_point, expected):
    rule = Requantize(np.asarray([(1 << 31) - 1]), np.asarray([21]))  # -1024 becomes 1 - 2^31
    params = Mean((1,), 0, zero_point, rule)
    assert outputs_of(engine, "MEAN", params, [], -128) == [expected] * CHANNELS


@pytest.mark.parametrize(("zero_point", "expected"), [(-128, 127), (-1, -128)])
def test_add_wraps(engine, zero_point, expected):
    half = Requantize(np.asarray([1 << 30]), np.asarray([0]))
    rule = Requantize(np.asarray([(1 << 31) - 1]), np.asarray([4]))  # 2 * -2^26 becomes 1 - 2^31
    params = Add(20, 0, 0, zero_point, half, half, rule, -128, 127)
    assert outputs_of(engine, "ADD", params, [], -128) == [expected] * CHANNELS

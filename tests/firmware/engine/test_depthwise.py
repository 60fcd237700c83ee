"""Depthwise 3x3 windows, of which the engine takes two outputs at a time: every width, side and stride."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.model import Convolution, Operator, QuantGraph, Requantize, Tensor, Window
from pytest_quantcheck.image.compile import compile_image

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

HEIGHT = 5
SLOW, FAST = 1, -9


def layer(window: Window, width: int, outputs: int, channels: int, **options: int) -> QuantGraph:
    """A depthwise layer on (1, HEIGHT, width, channels) with ``outputs`` columns of outputs."""
    rng = np.random.default_rng(width + 16 * outputs)
    count = channels * options.get("multiplier", 1)
    rows = (HEIGHT + window.pad_top - 3) // window.stride_h + 1
    weights = rng.integers(-128, 128, (1, 3, 3, count)).astype(np.int8)
    bias = rng.integers(-3000, 3000, count).astype(np.int32)
    rule = Requantize((1 << 30) + (np.arange(count) << 24), np.full(count, options.get("shift", FAST)))
    limits = options.get("low", -128), options.get("high", 127)
    params = Convolution(window, -7, 5, rule, *limits, depth_multiplier=options.get("multiplier", 1))
    tensors = (
        Tensor(0, "", (1, HEIGHT, width, channels), np.dtype(np.int8)),
        Tensor(1, "", weights.shape, weights.dtype, data=weights),
        Tensor(2, "", bias.shape, bias.dtype, data=bias),
        Tensor(3, "", (1, rows, outputs, count), np.dtype(np.int8)),
    )
    operator = Operator(0, "DEPTHWISE_CONV_2D", (0, 1, 2), (3,), params)
    return QuantGraph(tensors, (operator,), (0,), (3,), "0f" * 32)


def assert_exact(engine: Engine, graph: QuantGraph) -> None:
    x = np.random.default_rng(0).integers(-128, 128, graph.tensors[0].shape).astype(np.int8)
    answer = engine.run_graph(graph, compile_image(graph).data, [x])
    assert answer.status == 0
    found = np.frombuffer(answer.outputs, np.int8).reshape(graph.tensors[3].shape)
    np.testing.assert_array_equal(found, execute.run(graph, [x])[3])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pad_left", [0, 1, 2, 3])
def test_depthwise_conv2d_of_every_width_and_padding(engine: Engine, stride: int, pad_left: int) -> None:
    for width, outputs in itertools.product(range(1, 10), range(1, 7)):
        window = Window(3, 3, 1 + width % 3, stride, pad_top=width % 3, pad_left=pad_left)
        assert_exact(engine, layer(window, width, outputs, 4 + width % 5))


@pytest.mark.parametrize("channels", range(1, 10))
@pytest.mark.parametrize("multiplier", [1, 2, 3])
def test_depthwise_conv2d_of_every_group(engine: Engine, channels: int, multiplier: int) -> None:
    for stride in (1, 2):
        window = Window(3, 3, stride, stride, pad_top=1, pad_left=1)
        assert_exact(engine, layer(window, 6, 6 // stride, channels, multiplier=multiplier))


@pytest.mark.parametrize(("low", "high"), [(-128, 40), (-20, 127), (5, 6)])
@pytest.mark.parametrize("shift", [FAST, SLOW])
def test_depthwise_conv2d_clamps(engine: Engine, low: int, high: int, shift: int) -> None:
    for outputs in (4, 5):
        window = Window(3, 3, pad_top=1, pad_left=1)
        assert_exact(engine, layer(window, 5, outputs, 6, low=low, high=high, shift=shift))


def test_depthwise_conv2d_of_the_largest_sums(engine: Engine) -> None:
    graph = layer(Window(3, 3), 5, 3, 4)
    for sign in (-1, 1):
        weights = graph.tensors[1].data
        assert weights is not None
        weights[...] = 127 if sign > 0 else -128
        x = np.full(graph.tensors[0].shape, -128, np.int8)
        answer = engine.run_graph(graph, compile_image(graph).data, [x])
        assert answer.outputs == execute.computed(execute.run(graph, [x])[3]).tobytes()

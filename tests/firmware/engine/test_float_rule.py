"""The engine multiplies by float32 factors as the interpreter does: sums, products and results next to a
half, sums beyond 24 bits, factors far from one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.model import (
    Add,
    Convolution,
    FloatEdge,
    FullyConnected,
    Mean,
    Mul,
    Operator,
    Params,
    QuantGraph,
    Requantize,
    Tensor,
    Window,
)
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.numerics.fixed_point import quantize_multiplier

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

Array = npt.NDArray[Any]
INT8 = (-128, 127)
RULES = ("float", "float_odd")
SHARED = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


def factor(real: float, rule: str = "float") -> Requantize:
    return Requantize(*quantize_multiplier(np.float64(np.float32(real)).reshape(1)), rule)


def result(
    engine: Engine, kind: str, params: Params, inputs: list[Array], shape: tuple[int, ...], *more: Array
):
    tensors = [Tensor(i, "", x.shape, x.dtype) for i, x in enumerate(inputs)]
    tensors += [Tensor(i, "", c.shape, c.dtype, data=c) for i, c in enumerate(more, len(inputs))]
    out = Tensor(len(tensors), "", shape, np.dtype(np.int8))
    op = Operator(0, kind, tuple(range(len(tensors))), (out.index,), params)
    graph = QuantGraph((*tensors, out), (op,), tuple(range(len(inputs))), (out.index,), "0f" * 32)
    answer = engine.run_graph(graph, compile_image(graph).data, inputs)
    assert answer.status == 0
    expected = execute.run(graph, inputs)[out.index]
    assert expected is not None
    np.testing.assert_array_equal(np.frombuffer(answer.outputs, np.int8).reshape(shape), expected)
    return expected


FACTORS = st.one_of(
    st.floats(2**-31, 2.0**20, width=32),
    st.integers(-30, 10).map(lambda e: 2.0**e),
    st.integers(1, 1 << 24).map(lambda n: n * 2.0**-30),
)
BIASES = st.one_of(st.integers(-(1 << 31), (1 << 31) - 1), st.integers(-1000, 1000))


@SHARED
@given(
    FACTORS,
    st.sampled_from(RULES),
    st.lists(BIASES, min_size=4, max_size=8),
    st.integers(*INT8),
    st.integers(-3, 3),
)
def test_any_sum_by_any_factor(
    engine: Engine, real: float, rule: str, biases: list[int], zero_point: int, x: int
) -> None:
    params = FullyConnected(0, 0, zero_point, factor(real, rule), *INT8)
    weights = np.ones((len(biases), 1), np.int8)
    bias = np.asarray(biases, np.int32)
    result(engine, "FULLY_CONNECTED", params, [np.full((1, 1), x, np.int8)], (1, len(biases)), weights, bias)


@pytest.mark.parametrize("rule", RULES)
def test_halves_go_to_even_or_to_odd(engine: Engine, rule: str) -> None:
    params = FullyConnected(0, 0, 0, factor(0.5, rule), *INT8)
    bias = np.arange(-9, 10, dtype=np.int32)
    got = result(
        engine,
        "FULLY_CONNECTED",
        params,
        [np.zeros((1, 1), np.int8)],
        (1, 19),
        np.zeros((19, 1), np.int8),
        bias,
    )
    odd = int(rule == "float_odd")
    np.testing.assert_array_equal(got[0], np.rint(bias / 2 + odd) - odd)


def test_a_sum_beyond_24_bits_is_rounded_first(engine: Engine) -> None:
    """2**24 + 1 becomes 2**24, so that a half is met which the exact product misses."""
    real = 0.5 / (1 << 24)
    params = FullyConnected(0, 0, 0, factor(real), *INT8)
    bias = np.asarray([(1 << 24) - 1, 1 << 24, (1 << 24) + 1, (1 << 24) + 2], np.int32)
    got = result(
        engine,
        "FULLY_CONNECTED",
        params,
        [np.zeros((1, 1), np.int8)],
        (1, 4),
        np.zeros((4, 1), np.int8),
        bias,
    )
    assert got[0].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_convolutions_with_a_factor_per_channel(engine: Engine, channels: int, depthwise: bool) -> None:
    rng = np.random.default_rng(channels)
    factors = rng.uniform(0.0002, 0.02, channels).astype(np.float32).astype(np.float64)
    rule = Requantize(*quantize_multiplier(factors), "float")
    x = rng.integers(-128, 128, (1, 7, 6, channels)).astype(np.int8)
    shape = (1, 3, 3, channels) if depthwise else (channels, 3, 3, channels)
    weights = rng.integers(-127, 128, shape).astype(np.int8)
    bias = rng.integers(-(1 << 12), 1 << 12, channels).astype(np.int32)
    params = Convolution(Window(3, 3, 1, 1, 1, 1, 1, 1), -3, 5, rule, -100, 90, int(depthwise))
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    result(engine, kind, params, [x], (1, 7, 6, channels), weights, bias)


@SHARED
@given(FACTORS, st.integers(*INT8), st.integers(*INT8), st.integers(0, 1 << 30))
def test_products_sums_and_means(engine: Engine, real: float, za: int, zb: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(-128, 128, (1, 5, 5, 3)).astype(np.int8) for _ in range(2))
    rule = factor(real)
    result(engine, "MUL", Mul(za, zb, 1, rule, *INT8), [a, b], a.shape)
    result(engine, "MEAN", Mean((1, 2), za, zb, rule), [a], (1, 3))
    halves = Requantize(*quantize_multiplier(np.asarray([0.5])))
    params = Add(20, za, zb, 1, halves, halves, factor(real * 2**-20), *INT8)
    for kind in ("ADD", "SUB"):
        wide = (1, 20, 20, 3)
        large = [np.broadcast_to(x[:, :1, :1], wide).copy() for x in (a, b)]
        result(engine, kind, params, [a, b], a.shape)
        result(engine, kind, params, large, wide)


@pytest.mark.parametrize("scale", [0.25, 0.1, 0.0078431377])
def test_floats_at_the_edge_go_half_to_even(engine: Engine, scale: float) -> None:
    halves = (np.arange(-140, 140) + 0.5).astype(np.float32) * np.float32(scale)
    x = np.concatenate([np.nextafter(halves, np.float32(way)) for way in (-np.inf, np.inf)] + [halves])[None]
    edge = FloatEdge(float(np.float32(scale)), 3, "half_even")
    got = result(engine, "QUANTIZE", edge, [x], x.shape)
    steps = np.rint((x / np.float32(scale)).astype(np.float32)) + 3
    np.testing.assert_array_equal(got, np.clip(steps, *INT8))

"""The engine shifts and divides as the interpreter does, by each rule of powers of two, at every limit."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_quantcheck.errors import UnsupportedOperatorError
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.model import (
    Convolution,
    FullyConnected,
    Mean,
    Mul,
    Operator,
    Params,
    QuantGraph,
    Requantize,
    Rescale,
    Tensor,
    Window,
)
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.numerics.power_of_two import DIVIDING, divide_by_ratio

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

Array = npt.NDArray[Any]
INT8, INT16 = (-128, 127), (-32768, 32767)
SHARED = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
FAR = 1 << 30


def rule(shift: Any, rounding: str, divisor: int = 1) -> Requantize:
    shifts = np.atleast_1d(np.asarray(shift, np.int64))
    return Requantize(np.full_like(shifts, divisor), shifts, rounding)


def result(
    engine: Engine, kind: str, params: Params, inputs: list[Array], shape: tuple[int, ...], *more: Array
) -> Array:
    dtype = inputs[0].dtype
    tensors = [Tensor(i, "", x.shape, x.dtype) for i, x in enumerate(inputs)]
    tensors += [Tensor(i, "", c.shape, c.dtype, data=c) for i, c in enumerate(more, len(inputs))]
    out = Tensor(len(tensors), "", shape, dtype)
    op = Operator(0, kind, tuple(range(len(tensors))), (out.index,), params)
    graph = QuantGraph((*tensors, out), (op,), tuple(range(len(inputs))), (out.index,), "0f" * 32)
    answer = engine.run_graph(graph, compile_image(graph).data, inputs)
    assert answer.status == 0
    expected = execute.run(graph, inputs)[out.index]
    assert expected is not None
    np.testing.assert_array_equal(np.frombuffer(answer.outputs, dtype).reshape(shape), expected)
    return expected


def exactly(x: int, shift: int, divisor: int, rounding: str) -> int:
    """The rule in rational numbers."""
    value = Fraction(x) * Fraction(2) ** shift / divisor
    floor = value.numerator // value.denominator
    rest = value - floor
    up = {"floor": False, "half_up": rest >= Fraction(1, 2)}.get(
        rounding, rest > Fraction(1, 2) or (rest == Fraction(1, 2) and floor % 2 == 1)
    )
    return max(-FAR, min(FAR, floor + up))


@given(
    st.one_of(st.integers(-(1 << 61) + 1, (1 << 61) - 1), st.integers(-300, 300)),
    st.integers(-62, 30),
    st.sampled_from(DIVIDING),
)
def test_powers_of_two_are_exact(x: int, shift: int, rounding: Any) -> None:
    assert int(divide_by_ratio(x, 1, shift, rounding)) == exactly(x, shift, 1, rounding)


@given(
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(-31, 30),
    st.one_of(st.integers(1, 100), st.integers(1, (1 << 31) - 1)),
    st.sampled_from(DIVIDING),
)
def test_divisions_are_exact(x: int, shift: int, divisor: int, rounding: Any) -> None:
    assert int(divide_by_ratio(x, divisor, shift, rounding)) == exactly(x, shift, divisor, rounding)


@SHARED
@given(
    st.lists(
        st.one_of(st.integers(-(1 << 31), (1 << 31) - 1), st.integers(-999, 999)), min_size=4, max_size=9
    ),
    st.integers(-62, 30),
    st.sampled_from(DIVIDING),
    st.integers(*INT8),
)
def test_int8_sums(engine: Engine, biases: list[int], shift: int, rounding: str, x: int) -> None:
    params = FullyConnected(0, 0, 0, rule([shift] * len(biases), rounding), *INT8)
    weights = np.ones((len(biases), 1), np.int8)
    bias = np.asarray(biases, np.int32)
    result(engine, "FULLY_CONNECTED", params, [np.full((1, 1), x, np.int8)], (1, len(biases)), weights, bias)


@SHARED
@given(
    st.lists(
        st.one_of(st.integers(-(1 << 60), 1 << 60), st.integers(-(1 << 33), 1 << 33)), min_size=3, max_size=9
    ),
    st.integers(-62, 30),
    st.sampled_from(DIVIDING),
    st.integers(0, 999),
)
def test_int16_sums(engine: Engine, biases: list[int], shift: int, rounding: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    params = FullyConnected(0, 0, 0, rule([shift] * len(biases), rounding), *INT16)
    weights = rng.choice(np.asarray([-32768, -32767, -1, 0, 1, 32767], np.int16), (len(biases), 37))
    x = rng.choice(np.asarray([-32768, -5, 32767], np.int16), (2, 37))
    bias = np.asarray(biases, np.int64)
    result(engine, "FULLY_CONNECTED", params, [x], (2, len(biases)), weights, bias)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("rounding", DIVIDING)
@pytest.mark.parametrize(("kind", "groups"), [("CONV_2D", 1), ("CONV_2D", 2), ("DEPTHWISE_CONV_2D", 1)])
def test_convolutions_with_a_shift_per_channel(
    engine: Engine, kind: str, groups: int, rounding: str, dtype: str
) -> None:
    rng = np.random.default_rng(groups)
    info = np.iinfo(dtype)
    channels, depthwise = 6, kind == "DEPTHWISE_CONV_2D"
    x = rng.integers(info.min, info.max, (1, 7, 6, channels), endpoint=True).astype(dtype)
    shape = (1, 3, 3, channels) if depthwise else (channels, 3, 3, channels // groups)
    weights = rng.integers(-info.max, info.max, shape, endpoint=True).astype(dtype)
    bias = rng.integers(-5000, 5000, channels).astype("int32" if dtype == "int8" else "int64")
    bits = 10 if dtype == "int8" else 18
    rules = rule(-bits - np.arange(channels) % 3, rounding)
    window = Window(3, 3, 2, 1, 1, 2, 1, 1)
    params = Convolution(window, 0, 0, rules, info.min, info.max, depth_multiplier=int(depthwise))
    got = result(engine, kind, params, [x], (1, 4, 4, channels), weights, bias)
    assert len(np.unique(got)) > 20


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("rounding", DIVIDING)
@pytest.mark.parametrize("shift", [-3, 0, 2])
def test_means_products_and_changes_of_scale(engine: Engine, rounding: str, shift: int, dtype: str) -> None:
    rng = np.random.default_rng(shift + 9)
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, (1, 7, 5, 8), endpoint=True).astype(dtype)
    result(engine, "MEAN", Mean((1, 2), 0, 0, rule(shift, rounding, 35)), [x], (1, 8))
    y = rng.integers(info.min, info.max, x.shape, endpoint=True).astype(dtype)
    product = Mul(0, 0, 0, rule(shift - 8, rounding), info.min, info.max)
    result(engine, "MUL", product, [x, y], x.shape)
    result(engine, "QUANTIZE", Rescale(0, 0, rule(shift, rounding), info.min, info.max), [x], x.shape)


def test_what_has_no_meaning_is_refused() -> None:
    x = Tensor(0, "", (1, 4), np.dtype(np.int16))
    weights = Tensor(1, "", (1, 4), np.dtype(np.int16), data=np.ones((1, 4), np.int16))
    out = Tensor(2, "", (1, 1), np.dtype(np.int16))
    for rules, told in (
        (Requantize(np.asarray([1 << 30]), np.asarray([-3])), "int16 weights with the rounding 'double'"),
        (rule(-3, "half_up", 5), "int16 weights with the rounding 'half_up'"),
        (rule(-63, "half_up"), "do not fit the engine"),
    ):
        op = Operator(0, "FULLY_CONNECTED", (0, 1), (2,), FullyConnected(0, 0, 0, rules, *INT16))
        with pytest.raises(UnsupportedOperatorError, match=told):
            compile_image(QuantGraph((x, weights, out), (op,), (0,), (2,), "0f" * 32))

"""Requantization by a float32 factor equals IEEE arithmetic, the exact rule, and XNNPACK's convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.numerics import float_scale
from pytest_quantcheck.numerics.fixed_point import quantize_multiplier
from pytest_quantcheck.properties import exact

pytestmark = pytest.mark.host

Array = npt.NDArray[Any]
INT32 = st.integers(-(2**31), 2**31 - 1) | st.integers(-5000, 5000)
FACTORS = st.floats(2.0**-149, 2.0**30, width=32) | st.integers(-40, 10).map(lambda n: 2.0**n)


@given(st.lists(INT32, min_size=1, max_size=8), FACTORS, st.integers(-128, 127))
@example([2**24 + 1, -(2**24) - 1, 2**31 - 1, -(2**31)], 2.0**-25, 0)
@example([1, 3, -1, -3, 5], 0.5, 7)
def test_it_is_the_float32_formula(xs: list[int], factor: float, zero_point: int) -> None:
    found = float_scale.requantize(xs, factor, zero_point)
    with np.errstate(over="ignore"):
        product = np.array(xs, np.float32) * np.float32(factor)
    expected = np.clip(np.rint(product.astype(np.float64)) + zero_point, -128, 127)
    assert found.dtype == np.int8
    assert found.tolist() == expected.tolist()


@given(INT32, FACTORS, st.sampled_from(("int8", "uint8", "int16", "int32")), st.integers(0, 127))
def test_it_is_the_exact_rule(x: int, factor: float, dtype: str, zero_point: int) -> None:
    found = float_scale.requantize(x, factor, zero_point, dtype)
    assert found == exact.float_requantized(x, factor, zero_point, dtype)


@given(st.lists(INT32, min_size=1, max_size=8), st.floats(2.0**-31, 2.0**20, width=32) | FACTORS)
@example([1, 3, -1, -3, 5], 0.5)
def test_halves_to_odd_are_halves_to_even_beside_an_odd_number(xs: list[int], factor: float) -> None:
    """Exact below 2**52, where an odd number can be added to a float64."""
    multiplier, shift = quantize_multiplier(float(np.float32(factor)))
    found = float_scale.multiply_by_float(xs, multiplier, shift, odd=1)
    with np.errstate(over="ignore"):
        product = (np.array(xs, np.float32) * np.float32(factor)).astype(np.float64)
    near = (np.abs(product) < 2.0**51) & (factor >= 2.0**-31)
    assert found[near].tolist() == (np.rint(product + 1) - 1)[near].tolist()


def test_the_factor_is_rounded_at_each_step_in_order() -> None:
    scales = [np.float32(s) for s in (0.1, 0.3, 0.7)]
    found = float_scale.float_multiplier(*scales)
    assert found.dtype == np.float32
    assert found == np.float32(np.float32(scales[0] * scales[1]) / scales[2])
    assert found != np.float32(float(scales[0]) * float(scales[1]) / float(scales[2]))


@pytest.mark.parametrize(
    "scales", [(0.0, 1, 1), (1, -1, 1), (1e30, 1e30, 1), (1, 1, np.nan), (1e-30, 1e-30, 1)]
)
def test_a_factor_that_cannot_be_is_refused(scales: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="finite and above 0"):
        float_scale.float_multiplier(*scales)


def _convolution(
    writer: TfliteWriter, weights: Array, bias: Array, scales: tuple[float, Array, float]
) -> bytes:
    x = writer.tensor((1, 4, 4, weights.shape[3]), scale=scales[0], zero_point=3, name="x")
    y = writer.conv_2d(x, weights, bias, weight_scale=scales[1], scale=scales[2], zero_point=-5)
    return writer.finish([x], [y])


@settings(max_examples=25)
@given(seed=st.integers(0, 2**16))
def test_it_is_what_the_default_convolution_of_litert_computes(seed: int) -> None:
    from ai_edge_litert.interpreter import Interpreter

    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (6, 1, 1, 9)).astype(np.int8)
    bias = rng.integers(-20000, 20000, 6).astype(np.int32)
    scales = (rng.uniform(0.01, 0.1), rng.uniform(0.001, 0.02, 6).astype(np.float32), rng.uniform(0.05, 2))
    interpreter = Interpreter(model_content=_convolution(TfliteWriter(), weights, bias, scales))
    interpreter.allocate_tensors()
    x = rng.integers(-128, 128, (1, 4, 4, 9)).astype(np.int8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    accumulator = (x.astype(np.int64) - 3) @ weights.reshape(6, 9).T.astype(np.int64) + bias
    factor = float_scale.float_multiplier(scales[0], scales[1], scales[2])
    assert np.array_equal(found, float_scale.requantize(accumulator, factor, -5))

"""Affine quantization: chosen parameters cover the range, quantizing rounds and saturates as TFLM does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pytest_quantcheck.numerics import affine

pytestmark = pytest.mark.host

DTYPES = st.sampled_from(("int8", "uint8", "int16"))
REALS = st.floats(-1e6, 1e6, width=32)


@settings(deadline=None)
@given(REALS, REALS, DTYPES, st.booleans())
def test_every_value_of_the_range_comes_back_within_a_step(
    a: float, b: float, dtype: str, symmetric: bool
) -> None:
    low, high = min(a, b), max(a, b)
    assume(high - low > 1e-3)
    scale, zero_point = affine.choose_parameters(low, high, dtype, symmetric=symmetric)
    points = np.linspace(low, high, 50).astype(np.float32)
    again = affine.dequantize(affine.quantize(points, scale, zero_point, dtype), scale, zero_point)
    # the zero point is rounded, which moves the range by up to half a step
    assert np.max(np.abs(again - points)) <= 1.01 * float(scale) + 1e-6 * max(abs(low), abs(high))


@settings(deadline=None)
@given(REALS, REALS, DTYPES, st.booleans())
@example(0.0, 0.0, "int8", False)
def test_zero_is_represented_exactly(a: float, b: float, dtype: str, symmetric: bool) -> None:
    scale, zero_point = affine.choose_parameters(min(a, b), max(a, b), dtype, symmetric=symmetric)
    assert scale > 0
    assert affine.dequantize(affine.quantize(0.0, scale, zero_point, dtype), scale, zero_point) == 0.0


def test_the_usual_asymmetric_int8_range() -> None:
    scale, zero_point = affine.choose_parameters(0.0, 6.0)
    assert (float(scale), int(zero_point)) == (np.float32(6 / 255), -128)


def test_the_usual_symmetric_weight_range_is_narrow() -> None:
    scale, zero_point = affine.choose_parameters([-1.0, -2.0], [0.5, 2.54], symmetric=True)
    assert np.array_equal(scale, np.asarray([1 / 127, 2.54 / 127], np.float32))
    assert np.array_equal(zero_point, [0, 0])


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_impossible_ranges_are_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="finite and low <= high"):
        affine.choose_parameters(low, high)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (0.5, 1),
        (-0.5, -1),
        (1.5, 2),
        (-1.5, -2),
        (2.5, 3),
        (0.49999997, 0),
        (-0.49999997, 0),
        (1e30, 127),
        (-np.inf, -128),
    ],
)
def test_halves_round_away_from_zero_and_large_values_saturate(x: float, expected: int) -> None:
    assert affine.quantize(x, 1.0, 0) == expected


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        affine.quantize([0.0, float("nan")], 1.0, 0)


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(0, 2**16))
def test_per_channel_parameters_apply_along_their_axis(axis: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 3, (2, 3, 4, 5)).astype(np.float32)
    scale = rng.uniform(0.01, 1, x.shape[axis]).astype(np.float32)
    zero_point = rng.integers(-128, 127, x.shape[axis])
    whole = affine.quantize(x, scale, zero_point, axis=axis)
    for channel in range(x.shape[axis]):
        part = affine.quantize(np.take(x, channel, axis), scale[channel], zero_point[channel])
        assert np.array_equal(np.take(whole, channel, axis), part)
        real = affine.dequantize(part, scale[channel], zero_point[channel])
        again = affine.dequantize(whole, scale, zero_point, axis=axis)
        assert np.array_equal(np.take(again, channel, axis), real)

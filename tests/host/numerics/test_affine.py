"""Affine quantization: chosen parameters cover the range, quantizing rounds and saturates as stated."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pytest_quantcheck import strategies
from pytest_quantcheck.numerics import affine
from pytest_quantcheck.numerics.affine import DIVISIONS, DTYPES, Division, QuantParams
from pytest_quantcheck.numerics.rounding import ROUNDINGS, Rounding
from pytest_quantcheck.properties import exact

pytestmark = pytest.mark.host

NAMES = st.sampled_from(("int8", "uint8", "int16"))
REALS = st.floats(-1e6, 1e6, width=32)


@settings(deadline=None)
@given(REALS, REALS, NAMES, st.booleans())
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
@given(REALS, REALS, NAMES, st.booleans())
@example(0.0, 0.0, "int8", False)
def test_zero_is_represented_exactly(a: float, b: float, dtype: str, symmetric: bool) -> None:
    scale, zero_point = affine.choose_parameters(min(a, b), max(a, b), dtype, symmetric=symmetric)
    assert scale > 0
    assert affine.dequantize(affine.quantize(0.0, scale, zero_point, dtype), scale, zero_point) == 0.0


@given(strategies.calibration_ranges(), st.sampled_from(DTYPES), st.sampled_from((None, True, False)))
@example((0.0, 0.0), "int8", None)
@example((-3.0, -1.0), "int8", None)
@example((2.0, 2.0), "uint8", True)
@example((0.0, 1e-45), "int16", None)
@example((-1.0, 2.0), "uint8", False)
def test_parameters_are_the_formula(span: tuple[float, float], dtype: str, narrow: bool | None) -> None:
    low, high = min(span[0], 0.0), max(span[1], 0.0)
    qmin, qmax = affine.integer_range(dtype, bool(narrow))
    scale, zero_point = (v.item() for v in affine.choose_parameters(*span, dtype, narrow=narrow))
    if low == high:
        assert (scale, zero_point) == (1.0, 128 if dtype == "uint8" else 0)
        return
    assert scale == max(float(np.float32((high - low) / (qmax - qmin))), 2.0**-126)
    steps = exact.rounded(Fraction(qmin - low / scale), "half_away")
    assert zero_point == exact.clamped(steps, (qmin, qmax))


@given(strategies.calibration_ranges(), st.sampled_from(DTYPES), st.booleans())
def test_symmetric_parameters_are_the_formula(span: tuple[float, float], dtype: str, narrow: bool) -> None:
    low, high = min(span[0], 0.0), max(span[1], 0.0)
    qmin, qmax = affine.integer_range(dtype, narrow)
    middle = 128 if dtype == "uint8" else 0
    scale, zero_point = (
        v.item() for v in affine.choose_parameters(*span, dtype, symmetric=True, narrow=narrow)
    )
    assert zero_point == middle
    if low < high:
        needed = max(-low / (middle - qmin), high / (qmax - middle))
        assert scale == max(float(np.float32(needed)), 2.0**-126)


def test_both_ends_of_a_symmetric_range_that_is_not_narrow() -> None:
    scale, _ = affine.choose_parameters([-1.0, 0.0], [0.0, 1.0], symmetric=True, narrow=False)
    assert np.array_equal(scale, np.asarray([1 / 128, 1 / 127], np.float32))


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (0.0, 0.0, 1.0, 0),  # one point
        (5.0, 5.0, 5 / 255, -128),
        (-5.0, -5.0, 5 / 255, 127),
        (-3.0, -1.0, 3 / 255, 127),  # all negative
        (0.0, 5e-324, 2.0**-126, -128),  # subnormal
        (-1e-40, 1e-40, 2.0**-126, -128),
    ],
)
def test_degenerate_ranges(low: float, high: float, scale: float, zero_point: int) -> None:
    found = affine.choose_parameters(low, high)
    assert (float(found[0]), int(found[1])) == (float(np.float32(scale)), zero_point)


def test_a_range_too_wide_for_float32_is_refused() -> None:
    with pytest.raises(ValueError, match="too wide for a float32 scale"):
        affine.choose_parameters(-1e300, 1e300)


def test_a_type_that_is_not_quantized_to_is_refused() -> None:
    with pytest.raises(
        ValueError, match="dtype=uint16 is not quantized to; allowed: int8, uint8, int16, int32"
    ):
        affine.choose_parameters(0, 1, "uint16")


@pytest.mark.parametrize(
    ("scale", "zero_point", "dtype"),
    [
        (0.0, 0, "int8"),
        (-1.0, 0, "int8"),
        (math.nan, 0, "int8"),
        (math.inf, 0, "int8"),
        (1.0, 128, "int8"),
        (1.0, -1, "uint8"),
        (1e-50, 0, "int8"),
    ],
)
def test_parameters_that_cannot_be_are_refused(scale: float, zero_point: int, dtype: str) -> None:
    with pytest.raises(ValueError, match="a scale is finite and above 0"):
        QuantParams(scale, zero_point, dtype)


def test_a_scale_alone_means_symmetric_int8() -> None:
    assert QuantParams(0.5) == QuantParams(0.5, 0, "int8")


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


RULES = st.sampled_from(ROUNDINGS)
FLOAT32 = st.floats(allow_nan=False, width=32)
SCALES = st.floats(2.0**-126, float(np.finfo(np.float32).max), width=32)


@given(st.data(), strategies.quant_params(DTYPES), RULES, st.sampled_from(DIVISIONS))
def test_quantizing_is_exact_under_every_rule(
    data: st.DataObject, params: QuantParams, rule: Rounding, division: Division
) -> None:
    x = data.draw(strategies.real_arrays(params))
    found = affine.quantize(
        x, params.scale, params.zero_point, params.dtype, rounding=rule, division=division
    )
    assert found.dtype == np.dtype(params.dtype)
    assert found.tolist() == [exact.quantized(n, params, rule, division) for n in x.tolist()]


@given(st.lists(FLOAT32, min_size=1, max_size=5), SCALES | st.floats(2.0**-20, 2.0**4, width=32), RULES)
@example([1e-45, -1e-45, 0.0, math.inf, -math.inf], float(np.finfo(np.float32).max), "floor")
@example([2.0**61, 2.0**62, -(2.0**62), 2.0**61 * 1.5], 1.0, "half_even")
@example([2.0**62, -(2.0**62)], 1.5, "half_even")  # just inside
@example([2.0**40 * 1.25, 2.0**34, 2.0**35 + 2.0**12], float(np.float32(1.1)), "half_up")
def test_exact_quotients_are_exact(xs: list[float], scale: float, rule: Rounding) -> None:
    found = affine.exact_quotient(xs, scale, rule)
    for x, q in zip(np.array(xs, np.float32).tolist(), found.tolist(), strict=True):
        true = (
            exact.rounded(exact.quotient(x, scale), rule)
            if math.isfinite(x)
            else int(math.copysign(2**62, x))
        )
        assert q == exact.clamped(true, (-(2**62), 2**62))


@given(strategies.quant_params(("int8", "uint8", "int16")), st.data())
def test_dequantizing_rounds_once(params: QuantParams, data: st.DataObject) -> None:
    q = data.draw(strategies.quantized_arrays(params))
    found = affine.dequantize(q, params.scale, params.zero_point)
    assert found.dtype == np.float32
    assert [Fraction(x) for x in found.tolist()] == [exact.float32(exact.real(n, params)) for n in q.tolist()]


def test_int32_differences_do_not_wrap() -> None:
    assert affine.dequantize(np.int32(2**31 - 1), 1.0, -(2**31)) == np.float32(2.0**32)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=4),
    st.floats(2.0**-20, 1.0, width=32),
    st.floats(2.0**-20, 1.0, width=32),
    st.sampled_from((2, 20, 32, 40, 63)),
    RULES,
)
@example([1.0, -1.0], 2.0**-40, 1.0, 32, "half_away")
@example([1.0, -1.0], 0.5, 1.0, 2, "half_away")
def test_biases_are_the_exact_quotient_and_saturate(
    bias: list[float], input_scale: float, weight_scale: float, bits: int, rule: Rounding
) -> None:
    q, scale = affine.quantize_bias(bias, input_scale, weight_scale, bits=bits, rounding=rule)
    assert float(scale) == float(exact.float32(Fraction(input_scale) * Fraction(weight_scale)))
    largest = 2 ** (bits - 1) - 1
    steps = [
        exact.rounded(exact.quotient(b, float(scale)), rule) for b in np.array(bias, np.float32).tolist()
    ]
    assert q.tolist() == [exact.clamped(n, (-largest, largest)) for n in steps]


def test_biases_per_channel_have_the_scales_of_their_channels() -> None:
    q, scale = affine.quantize_bias([1.0, 1.0], 0.5, [0.25, 0.125])
    assert q.tolist() == [8, 16]
    assert scale.tolist() == [0.125, 0.0625]


@pytest.mark.parametrize(
    ("bias", "scale", "bits", "message"),
    [
        (math.nan, 1.0, 32, "a bias is finite"),
        ([1.0, math.nan], 1.0, 32, "a bias is finite"),
        (1.0, [0.5, 0.0], 32, "above 0"),
        (1.0, 0.0, 32, "above 0"),
        (1.0, 1.0, 1, "allowed: 2 to 63"),
        (1.0, 1.0, 64, "allowed: 2 to 63"),
    ],
)
def test_biases_that_cannot_be_are_refused(bias: Any, scale: Any, bits: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        affine.quantize_bias(bias, scale, 1.0, bits=bits)


def test_an_unknown_division_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed: float32, reciprocal, exact"):
        affine.quantize(1.0, 1.0, 0, division="float64")  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, 1e-50])
def test_a_scale_that_cannot_be_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="a scale is finite and above 0"):
        affine.quantize([1.0, 0.0], scale, 0)
    with pytest.raises(ValueError, match="a scale is finite and above 0"):
        affine.dequantize(np.int8([1]), [1.0, scale], 0)


def test_a_scale_whose_reciprocal_may_be_infinite_is_refused() -> None:
    assert affine.quantize([0.0, 1e-45], 1e-45, 0).tolist() == [0, 1]
    assert affine.quantize([2.0**-125], 2.0**-126, 0, division="reciprocal").tolist() == [2]
    with pytest.raises(ValueError, match=r"at least 1\.17549"):
        affine.quantize([0.0], 2.0**-130, 0, division="reciprocal")
    with pytest.raises(ValueError, match=r"at least 1\.17549"):
        affine.quantize([0.0, 0.0], [1.0, 2.0**-130], [0, 0], axis=0, division="reciprocal")


@pytest.mark.parametrize("axis", [2, -3, 5])
def test_an_axis_that_the_array_does_not_have_is_refused(axis: int) -> None:
    with pytest.raises(ValueError, match=rf"axis={axis} is not one of an array of shape \(2, 2\)"):
        affine.quantize(np.ones((2, 2)), [1.0, 0.5], [0, 0], axis=axis)


def test_scales_that_are_not_one_for_each_slice_are_refused() -> None:
    for x, axis in ((np.ones((1, 3)), 0), (np.ones((3, 3)), 1), (np.ones((2, 3)), -1)):
        with pytest.raises(ValueError, match=rf"\(2,\) parameters do not fit axis {axis}"):
            affine.dequantize(affine.quantize(x, 1.0, 0), [1.0, 0.5], 0, axis=axis)


def test_float64_beyond_float32_saturates_without_a_warning() -> None:
    with np.errstate(all="raise"):
        assert affine.quantize([1e300, -1e300], 1.0, 0).tolist() == [127, -128]


def test_biases_under_two_negative_scales_are_refused() -> None:
    with pytest.raises(ValueError, match="scales finite and above 0"):
        affine.quantize_bias([1.0], -1.0, -1.0)

"""The fixed-point primitives equal their definitions in exact Python integers and fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_quantcheck.numerics import fixed_point as fp

pytestmark = pytest.mark.host

EDGES = st.sampled_from((fp.INT32_MIN, -1, 0, 1, fp.INT32_MAX))
INT32 = st.one_of(st.integers(fp.INT32_MIN, fp.INT32_MAX), EDGES)
MULTIPLIERS = st.one_of(st.just(0), st.integers(1 << 30, fp.INT32_MAX))


def truncated(x: Fraction) -> int:
    return int(x)  # Python's int() truncates towards zero


def half_away(x: Fraction) -> int:
    whole = truncated(abs(x) + Fraction(1, 2))
    return whole if x >= 0 else -whole


def wrapped(x: int) -> int:
    return (x + 2**31) % 2**32 - 2**31


def doubling_high_mul(a: int, b: int) -> int:
    nudge = 2**30 if a * b >= 0 else 1 - 2**30
    return min(truncated(Fraction(a * b + nudge, 2**31)), fp.INT32_MAX)


@settings(deadline=None)
@given(INT32, INT32)
@example(fp.INT32_MIN, fp.INT32_MIN)
def test_doubling_high_mul_nudges_truncates_and_saturates(a: int, b: int) -> None:
    assert fp.saturating_rounding_doubling_high_mul(a, b) == doubling_high_mul(a, b)


@settings(deadline=None)
@given(INT32, INT32)
def test_doubling_high_mul_is_within_half_a_step_of_the_product(a: int, b: int) -> None:
    exact = Fraction(a * b, 2**31)
    saturated = min(exact, Fraction(fp.INT32_MAX))
    assert abs(int(fp.saturating_rounding_doubling_high_mul(a, b)) - saturated) <= Fraction(1, 2)


@settings(deadline=None)
@given(INT32, st.integers(0, 31))
@example(-1, 1)
@example(fp.INT32_MIN, 31)
def test_rounding_divide_rounds_half_away_from_zero(x: int, exponent: int) -> None:
    assert fp.rounding_divide_by_pot(x, exponent) == half_away(Fraction(x, 2**exponent))


@settings(deadline=None)
@given(st.integers(-(2**40), 2**40))
def test_wrapping_keeps_the_low_32_bits(x: int) -> None:
    assert fp.wrap_int32(x) == wrapped(x)


@settings(deadline=None)
@given(INT32, MULTIPLIERS, st.integers(-31, 30))
@example(fp.INT32_MAX, fp.INT32_MAX, 30)
def test_double_rounding_multiplies_then_divides(x: int, multiplier: int, shift: int) -> None:
    high = doubling_high_mul(wrapped(x << max(shift, 0)), multiplier)
    expected = half_away(Fraction(high, 2 ** max(-shift, 0)))
    assert fp.multiply_by_quantized_multiplier(x, multiplier, shift) == expected


@settings(deadline=None)
@given(INT32, MULTIPLIERS, st.integers(-31, 30))
def test_single_rounding_is_the_nearest_integer_half_up(x: int, multiplier: int, shift: int) -> None:
    exact = Fraction(x * multiplier, 2 ** (31 - shift))
    expected = (exact + Fraction(1, 2)).__floor__()
    assert fp.multiply_by_quantized_multiplier(x, multiplier, shift, "single") == expected


@settings(deadline=None)
@given(INT32, MULTIPLIERS, st.integers(-31, 0))
def test_double_and_single_rounding_differ_by_at_most_one(x: int, multiplier: int, shift: int) -> None:
    double = fp.multiply_by_quantized_multiplier(x, multiplier, shift)
    single = fp.multiply_by_quantized_multiplier(x, multiplier, shift, "single")
    assert abs(int(double) - int(single)) <= 1


def test_an_unknown_rounding_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed: double, single"):
        fp.multiply_by_quantized_multiplier(1, 1 << 30, 0, "triple")


@settings(deadline=None)
@given(st.integers(-(2**46), 2**46), st.integers(0, fp.INT32_MAX), st.integers(-31, 7))
@example(1, fp.INT32_MAX, 0)
def test_the_reduced_multiplier_keeps_16_bits_of_the_multiplier(x: int, multiplier: int, shift: int) -> None:
    reduced = min(half_away(Fraction(multiplier, 2**16)), 0x7FFF)
    expected = (Fraction(x * reduced, 2 ** (15 - shift)) + Fraction(1, 2)).__floor__()
    assert fp.multiply_by_reduced_multiplier(x, multiplier, shift) == expected


@settings(deadline=None)
@given(st.floats(2.0**-31, 2.0**30, allow_nan=False))
@example(1.0)
@example(np.nextafter(1.0, 0.0))
@example(2.0**-31)
def test_a_quantized_multiplier_is_normalised_and_accurate_to_31_bits(real: float) -> None:
    multiplier, shift = (int(v) for v in fp.quantize_multiplier(real))
    assert 1 << 30 <= multiplier <= fp.INT32_MAX
    value = Fraction(multiplier, 2**31) * Fraction(2) ** shift
    assert abs(value - Fraction(real)) <= Fraction(2) ** (shift - 32)


@pytest.mark.parametrize("real", [0.0, 2.0**-33, 5e-324])
def test_multipliers_too_small_to_matter_become_zero(real: float) -> None:
    assert [int(v) for v in fp.quantize_multiplier(real)] == [0, 0]


def test_a_multiplier_that_rounds_up_to_one_takes_the_next_shift() -> None:
    assert [int(v) for v in fp.quantize_multiplier(np.nextafter(1.0, 0.0))] == [1 << 30, 1]


@pytest.mark.parametrize("real", [-0.5, float("nan"), float("inf")])
def test_multipliers_that_cannot_be_are_refused(real: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        fp.quantize_multiplier(real)


def exponential(a: int, integer_bits: int) -> int:
    """gemmlowp ``exp_on_negative_values`` of one integer, its constants computed from what they mean."""
    if a == 0:
        return fp.INT32_MAX
    mul, quarter = doubling_high_mul, 2 ** (29 - integer_bits)
    rest = a % quarter - quarter
    x = rest * 2**integer_bits + 2**28
    x2 = mul(x, x)
    tail = mul(half_away(Fraction(mul(x2, x2), 4)) + mul(x2, x), round(Fraction(2**31, 3))) + x2
    eighth = round(math.exp(-1 / 8) * 2**31)
    result = eighth + mul(eighth, x + half_away(Fraction(tail, 2)))
    for digit in range(integer_bits + 2):
        if (rest - a) // quarter >> digit & 1:
            result = mul(result, round(math.exp(-(2.0 ** (digit - 2))) * 2**31))
    return result


def inverse(x: int) -> int:
    """gemmlowp's 1 / x in Q0.31 for x in [1, 2) as Q1.31, its constants computed from what they mean."""
    mul, half = doubling_high_mul, x // 2
    y = round(Fraction(48, 17) * 2**29) + mul(half, -round(Fraction(32, 17) * 2**29))
    for _ in range(3):
        y += 4 * mul(y, 2**29 - mul(half, y))
    return min(2 * y, fp.INT32_MAX)


def magnitudes(bits: int) -> st.SearchStrategy[int]:
    """Integers below 2**bits, small ones as often as large ones."""
    return st.integers(0, bits).flatmap(lambda n: st.integers(0, (1 << n) - 1))


@pytest.mark.parametrize("integer_bits", [4, 5])
def test_the_exponential_is_that_of_gemmlowp_around_every_quarter(integer_bits: int) -> None:
    quarters = np.arange(-(2**31), 0, 2 ** (29 - integer_bits))
    values = [*quarters.tolist(), *(quarters + 1).tolist(), *(quarters[1:] - 1).tolist(), -1, 0]
    found = fp.exp_on_negative_values(values, integer_bits).tolist()
    assert found == [exponential(value, integer_bits) for value in values]


@pytest.mark.parametrize("integer_bits", [4, 5])
@given(values=st.lists(magnitudes(31).map(lambda x: -x), min_size=1, max_size=50))
@settings(deadline=None)
def test_the_exponential_is_that_of_gemmlowp(integer_bits: int, values: list[int]) -> None:
    found = fp.exp_on_negative_values(values, integer_bits).tolist()
    assert found == [exponential(value, integer_bits) for value in values]


@settings(deadline=None)
@given(st.lists(magnitudes(31), min_size=1, max_size=50))
@example([0, 1, fp.INT32_MAX])
def test_the_reciprocal_is_that_of_gemmlowp(fractions: list[int]) -> None:
    scale, bits = fp.reciprocal(np.asarray(fractions) // 2 + 2**30, 12)
    assert scale.tolist() == [inverse(2**31 + fraction // 2 * 2) for fraction in fractions]
    assert set(bits.tolist()) == {11}


@settings(deadline=None)
@given(st.lists(st.integers(-(2**31), 0), min_size=1, max_size=50))
def test_the_exponential_is_accurate(values: list[int]) -> None:
    exact = np.exp(np.asarray(values) / 2**26)
    found = fp.exp_on_negative_values(values) / 2**31
    assert np.max(np.abs(found - exact)) < 3e-7


@settings(deadline=None)
@given(st.lists(st.integers(1 << 19, fp.INT32_MAX), min_size=1, max_size=50))
def test_the_reciprocal_is_accurate(values: list[int]) -> None:
    scale, bits = fp.reciprocal(values, 12)
    found = scale / 2**31 / 2.0**bits
    exact = 2**19 / np.asarray(values)
    assert np.max(np.abs(found / exact - 1)) < 1e-7


def saturated16(x: int) -> int:
    return min(max(x, -(2**15)), 2**15 - 1)


def high_mul_16(a: int, multiplier: int) -> int:
    """By a 31-bit multiplier rounded to 15 bits."""
    b = 2**15 - 1 if multiplier >= 2**31 - 1 - 2**15 else (multiplier + 2**15) // 2**16
    nudge = 2**14 if a >= 0 else 1 - 2**14
    return saturated16(truncated(Fraction(a * b + nudge, 2**15)))


def hard_swish(x: int, output: tuple[int, int], reluish: tuple[int, int]) -> int:
    """TFLM ``reference/hard_swish.h`` of one integer, in its order of steps."""
    left, right = max(reluish[1], 0), max(-reluish[1], 0)
    gate = saturated16(x * 2 ** (left - 1)) if left else x
    gate = high_mul_16(gate, reluish[0])
    gate = saturated16(gate * 2) if left else half_away(Fraction(gate, 2**right))
    product = truncated(Fraction((gate + 2**15) // 2 * high_mul_16(x, output[0]), 2**15))
    return half_away(Fraction(product, 2 ** -output[1]))


TOP = st.integers(fp.INT32_MAX - 2**16, fp.INT32_MAX)


@settings(deadline=None)
@given(
    st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=20),
    st.tuples(st.integers(1 << 30, fp.INT32_MAX) | TOP, st.integers(-15, 0)),
    st.tuples(st.integers(1 << 30, fp.INT32_MAX) | TOP, st.integers(-15, 9)),
)
@example([2**15 - 1, -(2**15), 1], (fp.INT32_MAX, 0), (fp.INT32_MAX, 0))
def test_hard_swish_takes_the_steps_of_tflm(
    values: list[int], output: tuple[int, int], reluish: tuple[int, int]
) -> None:
    found = fp.hard_swish(values, output, reluish).tolist()
    assert found == [hard_swish(x, output, reluish) for x in values]


@pytest.mark.parametrize(
    ("multiply", "first", "last"),
    [
        (fp.multiply_by_quantized_multiplier, -31, 30),
        (lambda *case: fp.multiply_by_quantized_multiplier(*case, "single"), -31, 30),
        (fp.multiply_by_reduced_multiplier, -31, 7),
    ],
)
def test_shifts_that_are_not_defined_are_refused(multiply, first: int, last: int) -> None:
    multiply([1, 1], 1 << 30, [first, last])
    for shift in (first - 1, last + 1):
        with pytest.raises(ValueError, match=f"shift is .*{shift}.* from {first} to {last}"):
            multiply([1, 1], 1 << 30, [0, shift])


def inverse_square_root(x: int) -> tuple[int, int]:
    """``GetInvSqrtQuantizedMultiplierExp`` of TFLite, for one number below 2**29."""
    if x <= 1:
        return fp.INT32_MAX, 0
    pairs = (32 - x.bit_length() - 1) // 2 - 1
    fixed = (x << 2 * pairs) >> 1  # Q3.28, from 1/4 up to 1
    half = (fixed + 1) >> 1
    root = 1 << 28
    for _ in range(5):
        cubed = doubling_high_mul(doubling_high_mul(root, root), root) << 6
        root = (doubling_high_mul(3 << 27, root) - doubling_high_mul(half, cubed)) << 3
    root = doubling_high_mul(root, 1518500250)
    shift = 11 - pairs
    return (root << -shift, 0) if shift < 0 else (root, -shift)


@pytest.mark.parametrize(
    "numbers", [range(1, 1000), [1 << bit for bit in range(29)], [(1 << bit) - 1 for bit in range(1, 30)]]
)
def test_reciprocal_square_roots_are_those_of_the_source(numbers: list[int]) -> None:
    multiplier, shift = fp.reciprocal_square_root(np.asarray(numbers))
    found = list(zip(multiplier.tolist(), shift.tolist(), strict=True))
    assert found == [inverse_square_root(x) for x in numbers]
    real = multiplier / 2.0**31 * 2.0**shift * np.sqrt(np.asarray(numbers, float))
    assert np.abs(real - 1).max() < 2e-6


def test_vectors_are_normalized_along_the_last_axis() -> None:
    x = np.random.default_rng(1).integers(-255, 256, (2, 3, 5))
    found = fp.l2_normalized(x)
    real = 128 * x / np.sqrt((x * x).sum(axis=-1, keepdims=True))
    assert np.abs(found - real).max() <= 0.5001
    assert fp.l2_normalized(np.zeros((2, 3), int)).tolist() == [[0] * 3] * 2

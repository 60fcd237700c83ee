"""Rounding rules equal their definitions in exact fractions, at halves, next to them and far away."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_quantcheck.numerics import rounding as r
from pytest_quantcheck.properties import exact

pytestmark = pytest.mark.host

RULES = st.sampled_from(r.ROUNDINGS)
HALVES = st.integers(-(2**22), 2**22).map(lambda n: n + 0.5)
NEAR_HALVES = st.builds(
    lambda half, way: float(np.nextafter(np.float32(half), np.float32(way))),
    HALVES,
    st.sampled_from((-1e9, 1e9)),
)
FLOAT32 = st.floats(allow_nan=False, allow_infinity=False, width=32) | HALVES | NEAR_HALVES
FLOAT64 = st.floats(allow_nan=False, allow_infinity=False) | HALVES
INT61 = st.integers(-(2**61) + 1, 2**61 - 1) | st.integers(-1000, 1000)


def test_the_rules_differ_at_halves_only() -> None:
    x = np.array([2.5, 0.5, -0.5, -2.5, 1.25, -1.75])
    rounded = {rule: r.round_real(x, rule).tolist() for rule in r.ROUNDINGS}
    assert rounded == {
        "half_even": [2, 0, 0, -2, 1, -2],
        "half_up": [3, 1, 0, -2, 1, -2],
        "half_away": [3, 1, -1, -3, 1, -2],
        "floor": [2, 0, -1, -3, 1, -2],
    }


@given(FLOAT32, RULES)
@example(0.49999997, "half_up")
@example(-0.49999997, "half_away")
@example(8388607.5, "half_even")
def test_float32_numbers_are_rounded_exactly(x: float, rule: r.Rounding) -> None:
    found = r.round_real(np.float32(x), rule)
    assert found.dtype == np.float32
    assert Fraction(float(found)) == exact.rounded(Fraction(x), rule)


@given(FLOAT64, RULES)
@example(0.49999999999999994, "half_up")
def test_float64_numbers_are_rounded_exactly(x: float, rule: r.Rounding) -> None:
    assert Fraction(float(r.round_real(x, rule))) == exact.rounded(Fraction(x), rule)


@pytest.mark.parametrize("rule", r.ROUNDINGS)
def test_infinities_stay(rule: r.Rounding) -> None:
    assert r.round_real([np.inf, -np.inf], rule).tolist() == [np.inf, -np.inf]


@given(INT61, st.integers(1, 2**62) | st.integers(1, 20), RULES)
@example(5, 2, "half_even")
@example(-(2**61) + 1, 2**62, "half_away")
def test_ratios_are_rounded_exactly(numerator: int, denominator: int, rule: r.Rounding) -> None:
    assert r.round_ratio(numerator, denominator, rule) == exact.rounded(
        Fraction(numerator, denominator), rule
    )


@given(INT61, st.integers(0, 100), RULES)
@example(-1, 1, "half_up")
@example(-(2**60), 63, "half_away")
@example(2**61 - 1, 62, "half_up")
def test_right_shifts_are_rounded_exactly(x: int, bits: int, rule: r.Rounding) -> None:
    assert r.round_shift(x, bits, rule) == exact.rounded(Fraction(x, 2**bits), rule)


def test_a_right_shift_to_the_left_is_refused() -> None:
    with pytest.raises(ValueError, match="0 bits or more"):
        r.round_shift(1, [0, -1])


@pytest.mark.parametrize("function", [r.round_real, lambda x, rule: r.round_ratio(x, 1, rule)])
def test_an_unknown_rule_is_refused(function: object) -> None:
    with pytest.raises(ValueError, match="allowed: half_even, half_up, half_away, floor"):
        function(1, "nearest")  # type: ignore[operator]


@given(st.lists(INT61, min_size=1, max_size=6), st.lists(st.integers(0, 62), min_size=1, max_size=6), RULES)
def test_arrays_broadcast_and_equal_single_numbers(xs: list[int], bits: list[int], rule: r.Rounding) -> None:
    whole = r.round_shift(np.array(xs)[:, None], np.array(bits)[None], rule)
    assert whole.tolist() == [[int(r.round_shift(x, n, rule)) for n in bits] for x in xs]

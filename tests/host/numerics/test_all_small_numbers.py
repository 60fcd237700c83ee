"""Rounding, right for every small number: ties of both signs, which random numbers seldom are."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from pytest_quantcheck.numerics import affine, fixed_point, float_scale, power_of_two, rounding
from pytest_quantcheck.properties import exact

pytestmark = pytest.mark.host

INTEGERS = np.arange(-40, 41)
every_rule = pytest.mark.parametrize("rule", rounding.ROUNDINGS)


@every_rule
def test_ratios(rule: rounding.Rounding) -> None:
    denominators = np.arange(1, 13)
    found = rounding.round_ratio(INTEGERS[:, None], denominators, rule)
    expected = [[exact.rounded(Fraction(int(n), int(d)), rule) for d in denominators] for n in INTEGERS]
    assert found.tolist() == expected


@every_rule
def test_right_shifts(rule: rounding.Rounding) -> None:
    bits = np.arange(8)
    expected = [[exact.rounded(Fraction(int(n), 2 ** int(b)), rule) for b in bits] for n in INTEGERS]
    assert rounding.round_shift(INTEGERS[:, None], bits, rule).tolist() == expected
    narrow = np.clip(expected, -128, 127)
    assert power_of_two.shift_right(INTEGERS[:, None], bits, rounding=rule).tolist() == narrow.tolist()


@every_rule
def test_exact_quotients(rule: rounding.Rounding) -> None:
    scales = np.asarray([0.5, 1, 2, 2.5, 4, 12], np.float32)
    found = affine.exact_quotient(INTEGERS[:, None], scales, rule)
    expected = [
        [exact.rounded(Fraction(int(n)) / Fraction(float(s)), rule) for s in scales] for n in INTEGERS
    ]
    assert found.tolist() == expected


def test_float32_requantization() -> None:
    multipliers = np.asarray([0.5, 0.25, 0.75, 1.5, 0.125], np.float32)
    found = float_scale.requantize(INTEGERS[:, None], multipliers, 3)
    expected = [
        [exact.rounded(Fraction(int(n)) * Fraction(float(m)), "half_even") + 3 for m in multipliers]
        for n in INTEGERS
    ]
    assert found.tolist() == expected


@pytest.mark.parametrize("multiplier", [(1 << 31) - 1, 0x7FFF0000, 0x7FFF8000, 0x7FFEFFFF, 0x7FFE8000])
def test_the_largest_reduced_multipliers_have_15_bits(multiplier: int) -> None:
    reduced = min((multiplier + (1 << 15)) >> 16, 0x7FFF)
    x = np.asarray([1 << 30, -(1 << 30), (1 << 46) + 12345])
    expected = [(int(v) * reduced + (1 << 14)) >> 15 for v in x]
    assert fixed_point.multiply_by_reduced_multiplier(x, multiplier, 0).tolist() == expected

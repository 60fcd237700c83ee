"""The truth that implementations are compared with: Python integers and fractions, slow and simple."""

from __future__ import annotations

import math
from fractions import Fraction

from pytest_quantcheck.numerics.affine import Division, QuantParams, integer_range
from pytest_quantcheck.numerics.rounding import Rounding

HALF = Fraction(1, 2)
INT32 = (-(1 << 31), (1 << 31) - 1)


def rounded(x: Fraction, rounding: Rounding) -> int:
    """``x`` as an integer under one of the rules of ``numerics.rounding``."""
    if rounding == "floor":
        return math.floor(x)
    if rounding == "half_up":
        return math.floor(x + HALF)
    if rounding == "half_even":
        return round(x)
    if rounding == "half_away":
        return math.floor(abs(x) + HALF) * (1 if x >= 0 else -1)
    raise ValueError(f"rounding={rounding!r} is not known")


def float32(x: Fraction) -> Fraction:
    """The float32 nearest to ``x``, halves to even; numbers beyond the largest float32 stay finite."""
    if x == 0:
        return x
    exponent = abs(x.numerator).bit_length() - x.denominator.bit_length()
    if Fraction(2) ** exponent > abs(x):
        exponent -= 1
    unit = Fraction(2) ** (max(exponent, -126) - 23)
    return round(x / unit) * unit


def clamped(x: int, limits: tuple[int, int]) -> int:
    """``x`` within ``limits``."""
    return min(max(x, limits[0]), limits[1])


def quotient(x: float, scale: float, division: Division = "exact") -> Fraction:
    """What a quantizer rounds: ``x / scale`` as it comes out of that kind of division."""
    if division == "exact":
        return Fraction(x) / Fraction(scale)
    if division == "float32":
        return float32(Fraction(x) / Fraction(scale))
    return float32(Fraction(x) * float32(1 / Fraction(scale)))


def quantized(x: float, params: QuantParams, rounding: Rounding, division: Division) -> int:
    """The integer that stands for the float32 number ``x``."""
    if math.isinf(x):
        return params.range[x > 0]
    steps = rounded(quotient(x, params.scale, division), rounding)
    return clamped(steps + params.zero_point, params.range)


def real(q: int, params: QuantParams) -> Fraction:
    """The number that the integer ``q`` stands for."""
    return Fraction(params.scale) * (q - params.zero_point)


def shifted(q: int, bits: int, dtype: str, rounding: Rounding) -> int:
    """``clamp(round(q / 2**bits))``."""
    return clamped(rounded(q / Fraction(2) ** bits, rounding), integer_range(dtype))


def requantized(x: int, multiplier: int, shift: int, rule: str) -> int:
    """``x * multiplier / 2**31 * 2**shift`` under a rule.

    ``double``, ``reduced``: TFLite's, see ``numerics.fixed_point``; any rule of ``numerics.rounding``:
    the exact product, rounded once.
    """
    if rule == "double":
        left, right = max(shift, 0), max(-shift, 0)
        high = _doubling_high_multiply(_wrapped(x << left), multiplier)
        return rounded(Fraction(high, 1 << right), "half_away")
    if rule == "reduced":
        short = min(rounded(Fraction(multiplier, 1 << 16), "half_up"), 0x7FFF)
        return rounded(x * short * Fraction(2) ** (shift - 15), "half_up")
    return rounded(x * multiplier * Fraction(2) ** (shift - 31), rule)  # type: ignore[arg-type]


def float_requantized(x: int, multiplier: float, zero_point: int, dtype: str) -> int:
    """``clamp(rint(float32(x) * multiplier) + zero_point)``, see ``numerics.float_scale``."""
    product = float32(float32(Fraction(x)) * Fraction(multiplier))
    return clamped(rounded(product, "half_even") + zero_point, integer_range(dtype))


def _doubling_high_multiply(a: int, b: int) -> int:
    nudge = 1 << 30 if a * b >= 0 else 1 - (1 << 30)
    return clamped(math.trunc(Fraction(a * b + nudge, 1 << 31)), INT32)


def _wrapped(x: int) -> int:
    return (x + (1 << 31)) % (1 << 32) - (1 << 31)

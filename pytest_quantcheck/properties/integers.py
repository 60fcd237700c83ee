"""Properties of integer arithmetic: requantization, shifts, exponents, chosen parameters, biases."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Union

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from pytest_quantcheck.numerics.affine import integer_range
from pytest_quantcheck.numerics.arrays import Float32, IntArray
from pytest_quantcheck.numerics.power_of_two import LARGEST_EXPONENT, SMALLEST_EXPONENT
from pytest_quantcheck.numerics.rounding import Rounding
from pytest_quantcheck.properties import exact
from pytest_quantcheck.properties.domain import fail, integers, name, search, show
from pytest_quantcheck.strategies import values

Integers = IntArray
Requantizer = Callable[[Integers, int, int], npt.ArrayLike]
FloatRequantizer = Callable[[Integers, float, int, str], npt.ArrayLike]
Shifter = Callable[[Integers, int], npt.ArrayLike]
ParameterChooser = Callable[[float, float, str], tuple[Any, Any]]
ExponentChooser = Callable[[float, str], Any]
Place = Union[int, tuple[int, int]]
BiasQuantizer = Callable[[Float32, float], npt.ArrayLike]


def requantizes_exactly(
    requantize: Requantizer,
    rule: str = "double",
    *,
    shifts: tuple[int, int] = (-31, 30),
    accumulator_bits: int = 32,
    max_examples: int | None = None,
) -> None:
    """``requantize(x, multiplier, shift)`` is ``x * multiplier / 2**31 * 2**shift`` under ``rule``.

    ``double`` and ``reduced`` as in ``numerics.fixed_point``; ``half_up`` (TFLite's single rounding),
    ``half_away``, ``half_even``, ``floor``: the exact product, rounded once. Accumulators have up to
    ``accumulator_bits``, and no more than lets the result fit 32 bits. Catches one rounding in place of
    two and the reverse, https://github.com/tensorflow/tensorflow/issues/25087,
    https://github.com/google-ai-edge/LiteRT/issues/7441, sums that overflow before the last shift,
    https://github.com/ARM-software/CMSIS-NN/pull/220, and an exponent taken for its negative.
    """

    def judge(case: tuple[values.Multiplier, list[Place]]) -> None:
        (multiplier, shift), places = case
        factor = multiplier * Fraction(2) ** (shift - 31)
        limit = min(1 << (accumulator_bits - 1), 1 << (31 - shift))
        x = np.array([exact.clamped(_at(place, factor), (-limit, limit - 1)) for place in places], np.int64)
        found = integers(requantize, x, multiplier, shift, like=x, holder="requantizes_exactly")
        for value, result in zip(x.tolist(), found, strict=True):
            expected = exact.requantized(value, multiplier, shift, rule)
            if result != expected:
                fail(
                    "requantizes_exactly",
                    f"{value} becomes {result}, it should be {expected} ({rule})",
                    f"{name(requantize)}({show(np.array([value]))}, {multiplier}, {shift})",
                )

    halves = [values.Multiplier(1 << 30, shift) for shift in (0, -1, -2) if shifts[0] <= shift <= shifts[1]]
    small: list[Place] = [1, -1, 2, -2, 3, -3, 5, -5]
    largest = values.Multiplier(exact.INT32[1], min(max(0, shifts[0]), shifts[1]))
    plain = [*((half, small) for half in halves), (largest, [*small, (1 << 30) + 1])]
    search(st.tuples(values.multipliers(shifts), _places(accumulator_bits)), judge, max_examples, plain)


def requantizes_in_float32(
    requantize: FloatRequantizer, dtype: str = "int8", *, max_examples: int | None = None
) -> None:
    """``requantize(x, multiplier, zero_point, dtype)`` is onnxruntime's and XNNPACK's rule.

    ``clamp(rint(float32(x) * multiplier) + zero_point)`` with ``x`` and product rounded to float32.
    Catches fixed-point and float64 multipliers where the reference has float32 ones:
    https://github.com/google-ai-edge/LiteRT/issues/7441.
    """

    def judge(case: tuple[float, int, list[Place]]) -> None:
        multiplier, zero_point, places = case
        x = np.array([exact.clamped(_at(p, Fraction(multiplier)), exact.INT32) for p in places], np.int64)
        arguments = (multiplier, zero_point, dtype)
        found = integers(requantize, x, *arguments, like=x, holder="requantizes_in_float32")
        for value, result in zip(x.tolist(), found, strict=True):
            expected = exact.float_requantized(value, multiplier, zero_point, dtype)
            if result != expected:
                call = ", ".join(map(show, (np.array([value]), *arguments)))
                fail(
                    "requantizes_in_float32",
                    f"{value} becomes {result}, it should be {expected}",
                    f"{name(requantize)}({call})",
                )

    factor = values.float_scales(2.0**-30, 2.0**10)
    halves = st.integers(-20, 3).map(lambda exponent: math.ldexp(1.0, exponent))
    zero_points = st.integers(*integer_range(dtype))
    # the last one is a tie in float32 only, which has no room for its lowest bit
    plain: list[tuple[float, int, list[Place]]] = [
        (0.5, 0, [1, -1, 2, -2, 3, -3]),
        (2.0**-20, 0, [(33 << 19) + 1]),
    ]
    search(st.tuples(halves | factor, zero_points, _places(32)), judge, max_examples, plain)


def shifts_exactly(
    shift: Shifter,
    dtype: str = "int8",
    *,
    rounding: Rounding = "half_even",
    bits: tuple[int, int] = (-70, 70),
    accumulator_bits: int = 32,
    max_examples: int | None = None,
) -> None:
    """``shift(q, bits)`` is ``clamp(round(q / 2**bits))``, also for 0, negative and 31 or more bits.

    Catches ``1 << (bits - 1)`` with no bits, shifts by more than the type has,
    https://github.com/ARM-software/CMSIS-NN/issues/114, left shifts that overflow silently, and floor in
    place of rounding.
    """

    def judge(case: tuple[int, list[int]]) -> None:
        count, drawn = case
        q = np.array(drawn, np.int64)
        found = integers(shift, q, count, like=q, holder="shifts_exactly")
        for value, result in zip(drawn, found, strict=True):
            expected = exact.shifted(value, count, dtype, rounding)
            if result != expected:
                fail(
                    "shifts_exactly",
                    f"{value} / 2**{count} becomes {result}, it should be {expected} ({rounding}, {dtype})",
                    f"{name(shift)}({show(np.array([value]))}, {count})",
                )

    counts = st.sampled_from([n for n in (0, 1, -1, 31, 32, 63, 64) if bits[0] <= n <= bits[1]])
    cases = st.tuples(counts | st.integers(*bits), _accumulators(accumulator_bits))
    small = [0, 1, -1, 2, -2, 3, -3, 5, -5]
    plain = [(n, small) for n in (0, 1, 2, -1, 31, 32) if bits[0] <= n <= bits[1]]
    search(cases, judge, max_examples, plain)


def exponents_cover_the_range(
    choose: ExponentChooser,
    dtype: str = "int8",
    *,
    steps: float | None = None,
    max_examples: int | None = None,
) -> None:
    """``choose(limit, dtype)`` is the smallest ``e`` with ``limit <= steps * 2**e``.

    ``steps`` is the largest integer unless given. Catches exponents one too small, which clip, one too
    large, which lose a bit (logarithms rounded at powers of two), and an exponent that is the negative of
    what is meant: https://github.com/espressif/esp-dl/issues/53,
    https://github.com/espressif/esp-dl/issues/64.
    """
    most = Fraction(integer_range(dtype)[1] if steps is None else steps)

    def judge(limit: float) -> None:
        exponent = int(choose(limit, dtype))
        covered = Fraction(limit) <= most * Fraction(2) ** exponent
        loose = exponent > SMALLEST_EXPONENT and Fraction(limit) <= most * Fraction(2) ** (exponent - 1)
        if not SMALLEST_EXPONENT <= exponent <= LARGEST_EXPONENT or not covered or loose:
            problem = "is larger than needed" if covered else "does not cover it"
            fail(
                "exponents_cover_the_range",
                f"exponent {exponent} for magnitude {limit!r} {problem}",
                f"{name(choose)}({limit!r}, {dtype!r})",
            )

    def edge(fraction: float, exponent: int, move: float) -> float:
        x = np.float32(math.ldexp(fraction, exponent))
        return float(np.nextafter(x, np.float32(move)) if move else x)

    edges = st.builds(
        edge,
        st.sampled_from((1.0, float(most), float(most) + 0.5, float(most) + 1)),
        st.integers(-100, 100),
        st.sampled_from((0.0, -math.inf, math.inf)),
    )
    usual = st.floats(2.0**-100, 2.0**100, width=32)
    search(usual | edges, judge, max_examples, plain=(1.0, float(most), float(most) + 0.5, float(most) + 1))


def parameters_cover_the_range(
    choose: ParameterChooser, dtype: str = "int8", *, max_examples: int | None = None
) -> None:
    """``choose(low, high, dtype)`` gives a scale and zero point that can hold the range.

    The scale is a positive finite float32, the zero point an integer of the type, and both ends of the
    range (widened to 0) are at most half a step beyond the ends of the type. Catches zero points beyond
    the type, https://github.com/pytorch/pytorch/issues/89619, truncated or off by one; ranges that leave
    zero out, https://github.com/tensorflow/tflite-micro/issues/2327; a symmetric range divided by 128
    where 127 is the largest integer; and a scale of 0 for a range of one point,
    https://github.com/microsoft/onnxruntime/pull/12470.
    """
    qmin, qmax = integer_range(dtype)

    def judge(case: tuple[float, float]) -> None:
        low, high = case
        scale, zero_point, told, call = _chosen("parameters_cover_the_range", choose, case, dtype)
        if zero_point != int(zero_point) or not qmin <= zero_point <= qmax:
            fail("parameters_cover_the_range", f"{told}: not an integer of {dtype}", call)
        slack = exact.HALF + Fraction(qmax - qmin, 1 << 22)
        for end in (min(low, 0.0), max(high, 0.0)):
            q = exact.quotient(end, scale) + int(zero_point)
            if not qmin - slack <= q <= qmax + slack:
                fail("parameters_cover_the_range", f"{told}: {end!r} is out of reach", call)

    search(values.calibration_ranges(largest=2.0**100), judge, max_examples, _PLAIN_RANGES)


def parameters_waste_no_steps(
    choose: ParameterChooser, dtype: str = "int8", *, max_examples: int | None = None
) -> None:
    """``choose(low, high, dtype)`` gives a scale that is no larger than the range needs.

    The range (widened to 0) takes up all steps of the type but two, or, with the zero point in the
    middle, its larger half all of that side but two. Ranges too small for a scale of 2**-100 are not asked.
    Not for scales that are powers of two, or that have a larger least value. Catches a bit lost
    everywhere: a width divided by 127 instead of 255, a symmetric scale under an asymmetric zero point.
    """
    qmin, qmax = integer_range(dtype)
    steps = qmax - qmin
    middle = qmin + (steps + 1) // 2
    slack = 2 + Fraction(steps, 1 << 22)

    def judge(case: tuple[float, float]) -> None:
        low, high = min(case[0], 0.0), max(case[1], 0.0)
        if high - low < steps * 2.0**-100:
            return
        scale, zero_point, told, call = _chosen("parameters_waste_no_steps", choose, case, dtype)
        used = exact.quotient(high, scale) - exact.quotient(low, scale)
        half = max(exact.quotient(high, scale), -exact.quotient(low, scale))
        if used < steps - slack and not (zero_point == middle and half >= steps // 2 - slack):
            fail("parameters_waste_no_steps", f"{told}: {float(used):.6g} steps of {steps}", call)

    search(values.calibration_ranges(largest=2.0**100), judge, max_examples, _PLAIN_RANGES)


def _chosen(
    holder: str, choose: ParameterChooser, case: tuple[float, float], dtype: str
) -> tuple[float, float, str, str]:
    """Scale and zero point, what to say of them, and the call that gave them."""
    call = f"{name(choose)}({case[0]!r}, {case[1]!r}, {dtype!r})"
    result: Any = choose(*case, dtype)
    try:
        scale, zero_point = (float(np.asarray(value).item()) for value in result)
    except (TypeError, ValueError):
        fail(holder, f"returned {result!r}; asked for one scale and one zero point", call)
    told = f"the range {case} gets scale {scale!r} and zero point {zero_point:g}"
    if not (math.isfinite(scale) and scale > 0):
        fail(holder, f"{told}: a scale is a positive number", call)
    if scale != float(np.float32(scale)):
        fail(holder, f"{told}: the scale is no float32; return it as it is stored, np.float32(scale)", call)
    return scale, zero_point, told, call


_PLAIN_RANGES = ((0.0, 1.0), (-1.0, 0.0), (-1.0, 1.0), (-1.0, 3.0), (-3.0, 1.0), (1.0, 2.0), (-2.0, -1.0))


def impossible_ranges_are_refused(choose: ParameterChooser, dtype: str = "int8") -> None:
    """A range with NaN, with an infinity, or with ``low > high`` raises an exception.

    Catches calibration over no data, or over a network that overflowed, that passes for a result.
    """
    nan, inf = math.nan, math.inf
    for low, high in ((nan, 1.0), (-1.0, nan), (-inf, 1.0), (-1.0, inf), (inf, -inf), (1.0, -1.0)):
        try:
            result = choose(low, high, dtype)
        except (ValueError, ArithmeticError):
            continue
        call = f"{name(choose)}({show(low)}, {show(high)}, {dtype!r})"
        fail("impossible_ranges_are_refused", f"the range ({low}, {high}) gets {result}", call)


def biases_saturate(
    quantize_bias: BiasQuantizer,
    *,
    bits: int = 32,
    rounding: Rounding = "half_away",
    max_examples: int | None = None,
) -> None:
    """``quantize_bias(bias, scale)`` is the exact quotient, rounded, at most ``2**(bits - 1) - 1``.

    In magnitude, for float32 biases (n,). Catches biases that wrap because the scale is small:
    https://github.com/microsoft/onnxruntime/issues/21000.
    """
    largest = (1 << (bits - 1)) - 1

    def judge(case: tuple[float, Float32]) -> None:
        scale, bias = case
        found = integers(quantize_bias, bias, scale, like=bias, holder="biases_saturate")
        for value, result in zip(bias.tolist(), found, strict=True):
            steps = exact.rounded(exact.quotient(value, scale), rounding)
            expected = exact.clamped(steps, (-largest, largest))
            if result != expected:
                fail(
                    "biases_saturate",
                    f"bias {value!r} becomes {result}, it should be {expected}",
                    f"{name(quantize_bias)}({show(np.array([value], np.float32))}, {scale!r})",
                )

    scale = st.integers(-60, 3).map(lambda exponent: math.ldexp(1.0, exponent)) | st.floats(
        2.0**-60, 8.0, width=32
    )
    biases = st.floats(-(2.0**20), 2.0**20, width=32)
    arrays = st.lists(biases, min_size=1, max_size=6).map(lambda b: np.array(b, np.float32))
    plain = [(1.0, np.array([0.5, -0.5, 0.75, -0.75, 1.5, -1.5, 2.5, -2.5], np.float32))]
    search(st.tuples(scale, arrays), judge, max_examples, plain)


def _accumulator(bits: int) -> st.SearchStrategy[int]:
    """Integers of that many bits: small ones, ends, halves of powers of two and their neighbours."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    halves = st.builds(
        lambda power, sign, odd, move: sign * odd * (1 << power) + move,
        st.integers(0, bits - 5),
        st.sampled_from((1, -1)),
        st.sampled_from((1, 3, 5)),
        st.sampled_from((0, -1, 1)),
    )
    return st.integers(-1000, 1000) | halves | st.integers(low, high) | st.sampled_from((low, high))


def _accumulators(bits: int) -> st.SearchStrategy[list[int]]:
    return st.lists(_accumulator(bits), min_size=1, max_size=8)


def _places(bits: int) -> st.SearchStrategy[list[Place]]:
    """Accumulators, and halves of results: requantization rules differ at halves or next to them."""
    halves = st.tuples(st.integers(-300, 300), st.sampled_from((0, 1)))
    return st.lists(_accumulator(bits) | halves, min_size=1, max_size=8)


def _at(place: Place, factor: Fraction) -> int:
    """The accumulator of a place: itself, or the last one before a half of the result, or the next."""
    if isinstance(place, int):
        return place
    whole, move = place
    return math.floor((whole + exact.HALF) / factor) + move if factor else whole

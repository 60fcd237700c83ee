"""Strategies for numbers: scales, zero points, reals around them, integers, multipliers, exponents, ranges.

They lean towards where arithmetic breaks (halves, neighbours of halves, ends of types, powers of two)
and shrink to the plainest case: scale 1, zero point 0, one number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from pytest_quantcheck.numerics.affine import QuantParams, integer_range
from pytest_quantcheck.numerics.arrays import Array, Float32
from pytest_quantcheck.numerics.power_of_two import LARGEST_EXPONENT, SMALLEST_EXPONENT

INT32_MAX = (1 << 31) - 1
LARGEST_FLOAT = float(np.finfo(np.float32).max)


class Multiplier(NamedTuple):
    """The real number ``multiplier / 2**31 * 2**shift``."""

    multiplier: int
    shift: int


def quant_params(
    dtypes: Sequence[str] = ("int8", "uint8", "int16"),
    *,
    scales: tuple[float, float] = (2.0**-20, 16.0),
    zero_points: tuple[int, int] | None = None,
    power_of_two: bool = False,
) -> st.SearchStrategy[QuantParams]:
    """``QuantParams`` with float32 scales in ``scales``, only powers of two with ``power_of_two``.

    Zero points from the whole type or from ``zero_points``, the ends among them.
    """
    scale = _powers(*scales) if power_of_two else float_scales(*scales)
    return st.one_of(
        [
            st.builds(QuantParams, scale, _integers(*_within(dtype, zero_points)), dtype=st.just(dtype))
            for dtype in dtypes
        ]
    )


def real_arrays(
    params: QuantParams | None = None, *, min_size: int = 1, max_size: int = 8, reach: float = math.inf
) -> st.SearchStrategy[Float32]:
    """float32 arrays of rank 1, without NaN.

    Given ``params`` they hold what its integers stand for, the halves between them, the neighbours of
    both in float32, values just outside the range and far outside, infinity included. ``reach`` bounds
    ``|x / scale|``.
    """
    params = params or QuantParams(1.0)
    low, high = params.range
    return _places(high - low, min_size, max_size).map(partial(_reals, params.scale, reach))


def quantized_arrays(
    params: QuantParams | str = "int8", *, min_size: int = 1, max_size: int = 8
) -> st.SearchStrategy[Array]:
    """Arrays of rank 1 in the dtype of ``params``, or in that dtype, the ends of the type among them."""
    return _arrays(params if isinstance(params, str) else params.dtype, min_size, max_size)


def multipliers(shifts: tuple[int, int] = (-31, 30)) -> st.SearchStrategy[Multiplier]:
    """Multipliers as TFLite writes them: 0 or in ``[2**30, 2**31)``, with a shift in ``shifts``."""
    ends = st.sampled_from((1 << 30, INT32_MAX, (1 << 30) + 1, 0x7FFF0000, 0x7FFEFFFF, 0))
    return st.builds(Multiplier, ends | st.integers(1 << 30, INT32_MAX), _integers(*shifts))


def exponents(low: int = SMALLEST_EXPONENT, high: int = LARGEST_EXPONENT) -> st.SearchStrategy[int]:
    """Exponents of power-of-two scales in ``[low, high]``, the ends among them."""
    return _integers(low, high)


def calibration_ranges(
    *, largest: float = LARGEST_FLOAT, degenerate: bool = True
) -> st.SearchStrategy[tuple[float, float]]:
    """``(low, high)`` with ``low <= high``, float32 numbers up to ``largest`` in magnitude.

    Among them, unless ``degenerate`` is False: a single point, zero alone, ranges on one side of zero,
    subnormal ones.
    """
    value = _float32(-largest, largest)
    usual = st.tuples(value, value).map(lambda pair: (min(pair), max(pair)))
    if not degenerate:
        return usual.filter(lambda pair: pair[1] - pair[0] > 2.0**-100)
    tiny = st.floats(-(2.0**-127), 2.0**-127, width=32)
    small = st.tuples(tiny, tiny).map(lambda pair: (min(pair), max(pair)))
    return st.just((0.0, 0.0)) | usual | value.map(lambda x: (x, x)) | small


def float_scales(low: float, high: float) -> st.SearchStrategy[float]:
    """float32 numbers in ``[low, high]``: powers of two, and mantissas with all their digits.

    Every exponent comes as often as any other: uniform numbers would hardly ever be small.
    """
    least, most = max(_inwards(low, math.inf), 2.0**-126), _inwards(high, -math.inf)
    if least > most:
        raise ValueError(f"there is no normal float32 in [{low}, {high}]")

    def number(mantissa: int, exponent: int) -> float:
        return min(max(math.ldexp(mantissa, exponent - 23), least), most)

    exponents = st.integers(math.frexp(least)[1] - 1, math.frexp(most)[1] - 1)
    return st.builds(number, st.just(1 << 23) | st.integers(1 << 23, (1 << 24) - 1), exponents)


def _within(dtype: str, zero_points: tuple[int, int] | None) -> tuple[int, int]:
    low, high = integer_range(dtype)
    if zero_points is None:
        return low, high
    if zero_points[0] > high or zero_points[1] < low:
        raise ValueError(f"zero points {zero_points} are not of {dtype}, [{low}, {high}]")
    return max(low, zero_points[0]), min(high, zero_points[1])


def _integers(low: int, high: int) -> st.SearchStrategy[int]:
    """Integers in ``[low, high]``; the ends come often, and last when shrinking."""
    return st.integers(low, high) | st.sampled_from((low, high))


def _float32(low: float, high: float) -> st.SearchStrategy[float]:
    """float32 numbers; bounds that are none are rounded inwards."""
    return st.floats(_inwards(low, math.inf), _inwards(high, -math.inf), width=32, allow_subnormal=False)


def _inwards(bound: float, direction: float) -> float:
    near = np.float32(bound)
    outside = float(near) < bound if direction > 0 else float(near) > bound
    return float(np.nextafter(near, np.float32(direction))) if outside else float(near)


def _powers(low: float, high: float) -> st.SearchStrategy[float]:
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    if first > last:
        raise ValueError(f"there is no power of two in [{low}, {high}]")
    return st.integers(first, last).map(lambda exponent: math.ldexp(1.0, exponent))


@lru_cache
def _places(span: int, min_size: int, max_size: int) -> st.SearchStrategy[list[tuple[float, int | None]]]:
    """Numbers in steps of the scale, each to be moved by -1, 0 or 1 float32; None: a number as it is.

    Counted from the zero point, so that of a type with ``span`` steps all are within, or just outside.
    """
    near = st.integers(-span - 2, span + 2)
    half = near.map(lambda step: step + 0.5)
    between = st.floats(-span - 2, span + 2)
    wraps = (1 << 8, 1 << 16, 1 << 31, 1 << 32, 1 << 40)
    far = st.builds(
        lambda sign, wrap, more: sign * (wrap + more),
        st.sampled_from((1, -1)),
        st.sampled_from(wraps),
        st.integers(0, span),
    )
    moved = st.tuples(near | half | between | far, st.sampled_from((0, 0, -1, 1)))
    plain = st.floats(allow_nan=False, width=32).map(lambda x: (x, None))
    return st.lists(moved | plain, min_size=min_size, max_size=max_size)


def _reals(scale: float, reach: float, places: list[tuple[float, int | None]]) -> Float32:
    with np.errstate(over="ignore"):
        x = np.array([step if move is None else step * scale for step, move in places], np.float32)
        target = np.array([move * math.inf if move else np.nan for _, move in places], np.float32)
        x = np.where(np.isnan(target), x, np.nextafter(x, target))
    largest = np.float32(_inwards(min(reach * scale, LARGEST_FLOAT), -math.inf))
    return x if math.isinf(reach) else np.clip(x, -largest, largest)


@lru_cache
def _arrays(dtype: str, min_size: int, max_size: int) -> st.SearchStrategy[Array]:
    elements = st.lists(_integers(*integer_range(dtype)), min_size=min_size, max_size=max_size)
    return elements.map(lambda x: np.array(x, dtype))

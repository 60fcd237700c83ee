"""Symmetric quantization with power-of-two scales, ``real = q * 2**exponent``: ESP-DL's scheme.

Every result is exact: a power of two divides floats and integers without an error of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.numerics.affine import along, integer_range
from pytest_quantcheck.numerics.arrays import Array, Float32, IntArray
from pytest_quantcheck.numerics.rounding import Rounding, round_ratio, round_real, round_shift

Cover = Literal["largest", "steps", "esp_ppq"]

SMALLEST_EXPONENT, LARGEST_EXPONENT = -126, 127  # 2**exponent is a normal float32


@dataclass(frozen=True)
class ChipRule:
    """How ESP-DL computes on a chip."""

    rounding: Rounding
    weights_per_channel: bool
    bias_bits: dict[str, int]
    """By the dtype of the activations."""


_PORTABLE = ChipRule("half_up", False, {"int8": 32, "int16": 64})
_PIE_V2 = ChipRule("half_even", True, {"int8": 32, "int16": 40})
CHIP_RULES = {
    "esp32": _PORTABLE,
    "esp32s2": _PORTABLE,
    "esp32c3": _PORTABLE,
    "esp32s3": ChipRule("half_up", False, {"int8": 20, "int16": 40}),
    "esp32p4": _PIE_V2,
    "esp32s31": _PIE_V2,
}
"""Source: esp-ppq ``EspdlQuantizer``; chips without their own kernels take those of its target ``c``.

ESP-DL 1.1 differed: weights rounded ``half_even`` to the narrow range, accumulators ``floor``.
"""


def choose_exponent(
    limit: npt.ArrayLike, dtype: npt.DTypeLike = np.int8, *, cover: Cover = "largest"
) -> IntArray:
    """The smallest exponent whose range covers ``limit``, the largest magnitude, elementwise.

    ``limit <= n * 2**exponent`` with, for a type of ``b`` bits, ``n``

    * ``largest``: ``2**(b-1) - 1``, so that nothing is clipped;
    * ``steps``: ``2**(b-1)``, ESP-DL 1.1, ``ceil(log2(limit / 2**(b-1)))``: a value equal to the limit clips;
    * ``esp_ppq``: ``(2**b - 1) / 2``, ``ceil(log2(2 * limit / (2**b - 1)))``: values in the last half
      step clip.

    Compared without logarithms, hence right at powers of two. A limit of 0 gives exponent 0; exponents
    stay where ``2**exponent`` is a normal float32, ``SMALLEST_EXPONENT`` to ``LARGEST_EXPONENT``.
    Raises ``ValueError`` for a limit that is negative, not finite or not covered even so.
    """
    limits = np.asarray(limit, np.float64)
    if not np.all(np.isfinite(limits)) or np.any(limits < 0):
        raise ValueError(f"the largest magnitude is finite and not negative, got {limits}")
    steps = _covered(dtype, cover)
    fraction, power = np.frexp(limits)
    steps_fraction, steps_power = np.frexp(steps)
    exponent = power.astype(np.int64) - int(steps_power) + (fraction > steps_fraction)
    if np.any(exponent > LARGEST_EXPONENT):
        raise ValueError(f"the magnitude {limits.max()} is beyond {steps} * 2**{LARGEST_EXPONENT}")
    return np.where(limits == 0, 0, np.maximum(exponent, SMALLEST_EXPONENT))


def _covered(dtype: npt.DTypeLike, cover: Cover) -> float:
    low, high = _signed_range(dtype)
    choices = {"largest": float(high), "steps": float(-low), "esp_ppq": (high - low) / 2}
    if cover not in choices:
        raise ValueError(f"cover={cover!r} is not known; allowed: {', '.join(choices)}")
    return choices[cover]


def quantize(
    x: npt.ArrayLike,
    exponent: npt.ArrayLike,
    dtype: npt.DTypeLike = np.int8,
    axis: int | None = None,
    *,
    rounding: Rounding = "half_even",
    narrow: bool = False,
) -> Array:
    """``clamp(round(x / 2**exponent))`` of float32 ``x``; ``narrow`` leaves out the smallest integer.

    With ``axis`` one exponent per slice along it. NaN raises ``ValueError``. Source: ESP-DL,
    ``Q = clip(round(R / 2**e))``.
    """
    with np.errstate(over="ignore"):  # float64 beyond float32 saturates like infinity
        values = np.asarray(x, np.float32)
    if np.isnan(values).any():
        raise ValueError("NaN cannot be quantized")
    low, high = _signed_range(dtype)
    steps = np.ldexp(values.astype(np.float64), -_exponents(exponent, axis, values.shape))
    clipped: Array = np.clip(round_real(steps, rounding), low + narrow, high).astype(dtype)
    return clipped


def dequantize(q: npt.ArrayLike, exponent: npt.ArrayLike, axis: int | None = None) -> Float32:
    """``q * 2**exponent`` as float32, exact for 8 and 16 bits unless it leaves float32's range."""
    integers = np.asarray(q).astype(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        real: Float32 = np.ldexp(integers, _exponents(exponent, axis, integers.shape)).astype(np.float32)
    return real


def requantize(
    q: npt.ArrayLike,
    exponent: npt.ArrayLike,
    output_exponent: npt.ArrayLike,
    dtype: npt.DTypeLike = np.int8,
    axis: int | None = None,
    *,
    rounding: Rounding = "half_even",
) -> Array:
    """Integers ``q`` of one exponent as integers of another, ``clamp(round(q * 2**(from - to)))``.

    ``q`` are accumulators, ``|q| < 2**61``; a convolution's exponent is input's plus weights'. With
    ``axis`` the exponents run along it. See :func:`shift_right`.
    """
    integers = np.asarray(q)
    difference = np.asarray(output_exponent, np.int64) - np.asarray(exponent, np.int64)
    return shift_right(integers, along(difference, axis, integers.shape), dtype, rounding=rounding)


def shift_right(
    q: npt.ArrayLike, bits: npt.ArrayLike, dtype: npt.DTypeLike = np.int8, *, rounding: Rounding = "half_even"
) -> Array:
    """``clamp(round(q / 2**bits))`` for ``|q| < 2**61`` and any ``bits``, elementwise.

    Negative bits shift left and saturate; 31 bits and more are computed correctly too, where C's ``>>`` on an
    ``int32_t`` has no meaning: https://github.com/ARM-software/CMSIS-NN/issues/114.
    """
    integers, shift = np.asarray(q, np.int64), np.asarray(bits, np.int64)
    low, high = integer_range(dtype)
    right = round_shift(integers, np.maximum(shift, 0), rounding)
    left = np.clip(-shift, 0, 61)
    lowest, highest = (
        -(np.int64(-low) >> left),
        np.int64(high) >> left,
    )  # what may be shifted left and still fits
    result = np.clip(right, lowest, highest) << left
    result = np.where(right > highest, high, np.where(right < lowest, low, result))
    clipped: Array = result.astype(dtype)
    return clipped


DIVIDING: tuple[Rounding, ...] = ("half_up", "half_even", "floor")  # rules of ``divide_by_ratio``
_FAR = 1 << 30  # beyond every type of an activation


def divide_by_ratio(
    x: npt.ArrayLike, divisor: npt.ArrayLike, shift: npt.ArrayLike, rounding: Rounding
) -> IntArray:
    """``round(x * 2**shift / divisor)``, limited to 2**30 either way; arguments broadcast.

    ``|x| < 2**61`` and shifts from -62 to 30 where the divisor is 1; else ``x`` is an int32 and shifts are
    from -31 on. The divisor is 1 or more; an average's is how many values it has.
    """
    left = np.maximum(np.asarray(shift, np.int64), 0)
    right = np.maximum(-np.asarray(shift, np.int64), 0)
    values = np.asarray(x, np.int64)
    near = np.where(left > 0, np.clip(values, -(1 << 31), (1 << 31) - 1), values)
    quotient = round_ratio(near << left, np.asarray(divisor, np.int64) << right, rounding)
    return np.clip(quotient, -_FAR, _FAR)


def _signed_range(dtype: npt.DTypeLike) -> tuple[int, int]:
    low, high = integer_range(dtype)
    if low == 0:
        raise ValueError("power-of-two scales are symmetric; allowed: int8, int16, int32")
    return low, high


def _exponents(exponent: npt.ArrayLike, axis: int | None, shape: tuple[int, ...]) -> IntArray:
    """Exponents along ``axis``; out of the range of normal float32 scales they raise ``ValueError``."""
    values = np.asarray(exponent, np.int64)
    if np.any(values < SMALLEST_EXPONENT) or np.any(values > LARGEST_EXPONENT):
        raise ValueError(f"an exponent is in [{SMALLEST_EXPONENT}, {LARGEST_EXPONENT}], got {exponent!r}")
    return along(values, axis, shape)

"""Requantization by a float32 factor, as onnxruntime and XNNPACK do it, computed in integers.

The fixed-point rules of TFLite are in ``fixed_point.py``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.numerics.affine import integer_range
from pytest_quantcheck.numerics.arrays import Array, Float32, IntArray
from pytest_quantcheck.numerics.rounding import round_shift

_DIGITS = 24  # of a float32


def float_multiplier(
    input_scale: npt.ArrayLike, weight_scale: npt.ArrayLike, output_scale: npt.ArrayLike
) -> Float32:
    """``input_scale * weight_scale / output_scale``, each step rounded to float32, in that order.

    Raises ``ValueError`` where the result is not finite and above 0.
    Source: onnxruntime ``qlinearconv.cc``, XNNPACK ``xnn_create_convolution2d_nhwc_qs8_qc8w``.
    """
    with np.errstate(all="ignore"):
        product = np.asarray(input_scale, np.float32) * np.asarray(weight_scale, np.float32)
        factor: Float32 = np.asarray(product / np.asarray(output_scale, np.float32))
    return _checked(factor)


def requantize(
    x: npt.ArrayLike, multiplier: npt.ArrayLike, zero_point: npt.ArrayLike, dtype: npt.DTypeLike = np.int8
) -> Array:
    """``clamp(rint(float32(x) * multiplier) + zero_point)`` of int32 accumulators; arguments broadcast.

    Three roundings, each half to even: ``x`` to 24 digits, the product to 24 digits, the result to an
    integer. Integers only, so that cores without a floating-point unit get the same.
    Source: onnxruntime ``MlasRequantizeOutput``; XNNPACK's ``fp32`` requantization.
    """
    low, high = integer_range(dtype)
    fraction, power = np.frexp(_checked(np.asarray(multiplier, np.float32)))
    mantissa = (fraction * 2.0**31).astype(np.int64)
    steps = multiply_by_float(x, mantissa, power.astype(np.int64))
    clipped: Array = np.clip(steps + np.asarray(zero_point, np.int64), low, high).astype(dtype)
    return clipped


def multiply_by_float(
    x: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike, *, odd: int = 0
) -> IntArray:
    """``rint(float32(x) * factor)`` of int32 ``x``, not saturated; arguments broadcast.

    With ``odd=1`` the last rounding sends halves to odd: ``rint(v + z) - z`` for an odd integer z.

    The float32 ``factor`` is ``multiplier / 2**31 * 2**shift``, so that the 7 low bits of the int32
    multiplier are 0: ``quantize_multiplier`` of a float32 gives it. Roundings as in :func:`requantize`.
    """
    digits = np.asarray(multiplier, np.int64) >> (31 - _DIGITS)
    accumulator, first = _to_24_digits(np.asarray(x, np.int64))
    product, second = _to_24_digits(accumulator * digits)
    # product * 2**-bits; to the left it has 24 digits or more, beyond every type
    bits = _DIGITS - np.asarray(shift, np.int64) - first - second
    right = np.clip(bits, 0, 60)  # with 60, nothing is left of the product
    whole = np.int64(odd) << right
    steps: IntArray = (round_shift(product + whole, right, "half_even") - odd) << np.clip(-bits, 0, 34)
    return steps


def _to_24_digits(x: IntArray) -> tuple[IntArray, IntArray]:
    """``(y, bits)`` with ``y * 2**bits`` the float32 nearest to ``x``; ``|x| < 2**53``."""
    length = np.frexp(np.abs(x).astype(np.float64))[1].astype(np.int64)
    bits = np.maximum(length - _DIGITS, 0)
    return round_shift(x, bits, "half_even"), bits


def _checked(multiplier: Float32) -> Float32:
    if not np.all(np.isfinite(multiplier)) or np.any(multiplier <= 0):
        raise ValueError(f"a multiplier is finite and above 0, got {multiplier}")
    return multiplier

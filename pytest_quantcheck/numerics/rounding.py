"""Rounding to integers under a named rule, exactly: real arrays, ratios of integers, and right shifts.

Every rule but ``floor`` takes the nearest integer; they differ in where a half goes.

=============  ==========================  ==========================================
rule           2.5, 0.5, -0.5, -2.5        who rounds so
=============  ==========================  ==========================================
``half_even``  2, 0, 0, -2                 IEEE 754, ONNX, XNNPACK, ESP32-P4
``half_up``    3, 1, 0, -2                 add half and shift: CMSIS-NN, ESP32-S3
``half_away``  3, 1, -1, -3                C ``round``, TFLite's and TFLM's reference kernels
``floor``      2, 0, -1, -3                an arithmetic shift: ESP-DL before 2.0
=============  ==========================  ==========================================
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.numerics.arrays import Array, IntArray

Rounding = Literal["half_even", "half_up", "half_away", "floor"]
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)


def round_real(x: npt.ArrayLike, rounding: Rounding = "half_away") -> Array:
    """The real numbers ``x`` as whole numbers, in the floating-point dtype of ``x``.

    Exact for every finite float: halves differ from their neighbours, which ``floor(x + 0.5)``
    does not do. Infinities stay. Raises ``ValueError`` for an unknown rule.
    """
    values = np.asarray(x)
    if rounding == "floor":
        return np.asarray(np.floor(values))
    if rounding == "half_even":
        return np.asarray(np.rint(values))
    whole = np.trunc(values)
    with np.errstate(invalid="ignore"):  # infinity has no fraction
        fraction = np.abs(values - whole)
    if rounding == "half_away":
        outwards = fraction >= 0.5
    elif rounding == "half_up":
        outwards = (fraction > 0.5) | ((fraction == 0.5) & (values > 0))
    else:
        raise _unknown(rounding)
    rounded: Array = np.where(outwards, whole + np.sign(values), whole)
    return rounded


def round_half_away(x: Array) -> Array:
    """Nearest integer, halves away from zero (C's ``round``), in the dtype of ``x``."""
    return round_real(x, "half_away")


def round_ratio(
    numerator: npt.ArrayLike, denominator: npt.ArrayLike, rounding: Rounding = "half_away"
) -> IntArray:
    """``numerator / denominator`` rounded, elementwise in int64; the denominator is in [1, 2**62]."""
    whole, rest = np.divmod(np.asarray(numerator, np.int64), np.asarray(denominator, np.int64))
    return settle(whole, rest, denominator, rounding)


def round_shift(x: npt.ArrayLike, bits: npt.ArrayLike, rounding: Rounding = "half_away") -> IntArray:
    """``x / 2**bits`` rounded, for ``|x| < 2**61`` and any ``bits >= 0``, elementwise in int64."""
    shift = np.asarray(bits, np.int64)
    if np.any(shift < 0):
        raise ValueError(f"a right shift is by 0 bits or more, got {bits!r}")
    return round_ratio(x, np.int64(1) << np.minimum(shift, 62), rounding)


def settle(
    whole: npt.ArrayLike, rest: npt.ArrayLike, denominator: npt.ArrayLike, rounding: Rounding
) -> IntArray:
    """``whole + rest / denominator`` rounded, where ``0 <= rest < denominator <= 2**62``."""
    floor, twice, full = np.asarray(whole, np.int64), 2 * np.asarray(rest, np.int64), np.asarray(denominator)
    if rounding == "floor":
        return floor
    tie_up: npt.ArrayLike
    if rounding == "half_even":
        tie_up = floor & 1 == 1
    elif rounding == "half_up":
        tie_up = True
    elif rounding == "half_away":
        tie_up = floor >= 0
    else:
        raise _unknown(rounding)
    up: npt.NDArray[np.bool_] = (twice > full) | ((twice == full) & tie_up)
    return np.where(up, floor + 1, floor)


def _unknown(rounding: str) -> ValueError:
    return ValueError(f"rounding={rounding!r} is not known; allowed: {', '.join(ROUNDINGS)}")

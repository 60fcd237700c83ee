"""Look-up tables of the int16 kernels, computed from their formulas, and how they are read.

Values are float32 where the C++ kernels' are; their functions are evaluated in float64 and rounded once,
so that a table does not depend on the machine. Sources: TFLM ``internal/common.h`` (``LUTPopulate``,
``LUTLookup``) and ``reference/integer_ops/{logistic,tanh}.h``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from pytest_quantcheck.numerics.affine import round_half_away
from pytest_quantcheck.numerics.arrays import Float32, IntArray
from pytest_quantcheck.numerics.fixed_point import int64

STEPS = 512  # of an interpolated table, which has one entry more
SIGMOID_ENTRIES = 256


@lru_cache(maxsize=1)
def exp_table() -> IntArray:
    """exp(x) in Q0.15 for x from -10 to 0: the first table of int16 SOFTMAX."""
    return interpolated_table(math.exp, -10.0, 0.0)


@lru_cache(maxsize=1)
def reciprocal_table() -> IntArray:
    """1 / (1 + x) in Q0.15 for x from 0 to 1: the second table of int16 SOFTMAX."""
    return interpolated_table(lambda x: 1.0 / (1.0 + x), 0.0, 1.0)


def interpolated_table(function: Callable[[float], float], low: float, high: float) -> IntArray:
    """``STEPS + 1`` samples of ``function`` on [low, high] in Q0.15, for :func:`interpolate`.

    Each sample but the last is lowered by half the error that interpolation makes in the middle of
    its step, which halves the largest error. Rounding is half away from zero.
    """
    x = np.float32(low) + np.arange(STEPS + 1, dtype=np.float32) * np.float32((high - low) / STEPS)
    middles = x[:-1] + np.float32((high - low) / STEPS / 2)
    here, middle = _samples(function, x), round_half_away(_samples(function, middles))
    rounded = round_half_away(here)
    straight = round_half_away((here[1:] + rounded[:-1]) / np.float32(2))
    rounded[:-1] -= round_half_away((straight - middle) / np.float32(2))
    return int64(np.clip(rounded, -(1 << 15), (1 << 15) - 1))


def _samples(function: Callable[[float], float], x: Float32) -> Float32:
    return np.asarray([function(float(v)) for v in x]).astype(np.float32) * np.float32(1 << 15)


def interpolate(x: IntArray, table: IntArray) -> IntArray:
    """``table`` at int16 ``x``: the upper 9 bits choose the step, the lower 7 interpolate, half up."""
    index, offset = (x >> 7) + STEPS // 2, x & 0x7F
    slope = table[index + 1] - table[index]
    return int64(table[index] + ((slope * offset + 64) >> 7))


@lru_cache(maxsize=1)
def sigmoid_table() -> IntArray:
    """The logistic function in Q0.16 at i / 24 for i below 256.

    Each value is raised by half of what linear interpolation misses in the middle of the step behind
    it; the last one is 2**16 - 1, where the function is taken as saturated.
    """
    at = [65536 / (1 + math.exp(-i / 48)) for i in range(2 * SIGMOID_ENTRIES + 1)]  # and between
    missing = [(at[i + 1] - (at[i] + at[i + 2]) / 2) / 2 for i in range(0, 2 * SIGMOID_ENTRIES, 2)]
    values = [round(at[2 * i] + missing[i]) for i in range(SIGMOID_ENTRIES)]
    return np.asarray([*values[:-1], (1 << 16) - 1], np.int64)


def sigmoid(steps: IntArray) -> IntArray:
    """The logistic function in Q0.15 for int32 ``steps`` of 1 / (24 * 512).

    Rounded half up for positive steps; negative ones get the complement of that.
    """
    value = _interpolated_sigmoid(steps, 9, 0x7FFF << 10)
    return np.where(steps >= 0, value + (1 << 9), (1 << 25) - value + (1 << 9) - 1) >> 10


def tanh(steps: IntArray) -> IntArray:
    """The hyperbolic tangent in Q0.15, rounded half away from zero, for ``steps`` as in :func:`sigmoid`.

    ``tanh(x) = 2 * sigmoid(2 * x) - 1``.
    """
    value = _interpolated_sigmoid(steps, 8, 0xFFFF << 8)
    value = value - (1 << 23)
    return np.where(steps >= 0, value + (1 << 7), -value + (1 << 7) - 1) >> 8


def _interpolated_sigmoid(steps: IntArray, bits: int, saturated: int) -> IntArray:
    """The table at ``|steps| / 2**bits``, in Q0.(16 + bits); ``saturated`` from the last entry on."""
    size, table = np.abs(steps), sigmoid_table()
    index = np.minimum(size >> bits, SIGMOID_ENTRIES - 2)
    slope = table[index + 1] - table[index]
    inside = (table[index] << bits) + (size & ((1 << bits) - 1)) * slope
    return np.where(size >> bits >= SIGMOID_ENTRIES - 1, saturated, inside)

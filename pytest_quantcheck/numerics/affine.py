"""Affine quantization, ``real = scale * (q - zero_point)``: choosing parameters and applying them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def choose_parameters(
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    dtype: npt.DTypeLike = np.int8,
    *,
    symmetric: bool = False,
) -> tuple[FloatArray, IntArray]:
    """``(scale, zero_point)`` for real ranges ``[low, high]``, elementwise (one entry per channel).

    The range is widened to contain 0. Asymmetric: ``scale = (high - low) / (qmax - qmin)`` and
    ``zero_point = round(qmin - low / scale)`` clamped to the type. Symmetric: the narrow range
    ``[-qmax, qmax]``, ``scale = max(|low|, |high|) / qmax``, zero point 0 (128 for uint8).
    A range of zero width gives scale 1. Computed in float64, the scale rounded to float32.
    Raises ``ValueError`` for empty or non-finite ranges. Source: TFLite quantization specification.
    """
    lows, highs = np.broadcast_arrays(np.asarray(low, np.float64), np.asarray(high, np.float64))
    if not (np.all(np.isfinite(lows)) and np.all(np.isfinite(highs))) or np.any(lows > highs):
        raise ValueError(f"a range is finite and low <= high, got {lows} to {highs}")
    lows, highs = np.minimum(lows, 0.0), np.maximum(highs, 0.0)
    info = np.iinfo(np.dtype(dtype))
    middle = (info.min + info.max + 1) // 2
    if symmetric:
        scale = np.maximum(-lows, highs) / (info.max - middle)
        zero_point = np.full(scale.shape, middle, np.int64)
    else:
        scale = (highs - lows) / (info.max - info.min)
        steps = np.divide(lows, scale, out=np.zeros_like(scale), where=scale > 0)
        zero_point = np.clip(round_half_away(info.min - steps), info.min, info.max).astype(np.int64)
    flat = scale.astype(np.float32) <= 0
    return np.where(flat, np.float32(1), scale.astype(np.float32)), np.where(flat, middle, zero_point)


def round_half_away(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Nearest integer, halves away from zero (C's ``round``), in the dtype of ``x``."""
    # trunc(x + 0.5) would be wrong for the largest value below one half
    whole: npt.NDArray[Any] = np.trunc(x)
    return np.where(np.abs(x - whole) >= 0.5, whole + np.sign(x), whole)


def quantize(
    x: npt.ArrayLike,
    scale: npt.ArrayLike,
    zero_point: npt.ArrayLike,
    dtype: npt.DTypeLike = np.int8,
    axis: int | None = None,
) -> npt.NDArray[Any]:
    """``clamp(round(x / scale) + zero_point)``, divided in float32 and rounded half away from zero.

    With ``axis`` scale and zero point hold one entry per slice along it. Values beyond the type
    saturate; NaN raises ``ValueError``. Source: TFLM ``reference_ops::AffineQuantize``.
    """
    x = np.asarray(x, np.float32)
    if np.isnan(x).any():
        raise ValueError("NaN cannot be quantized")
    info = np.iinfo(np.dtype(dtype))
    with np.errstate(over="ignore"):
        steps = x / along(np.asarray(scale, np.float32), axis, x.ndim)
    # beyond +-2**30 every supported type saturates, whatever the zero point
    integers = round_half_away(np.clip(steps, -(2.0**30), 2.0**30)).astype(np.int64)
    zeros = along(np.asarray(zero_point, np.int64), axis, x.ndim)
    clipped: npt.NDArray[Any] = np.clip(integers + zeros, info.min, info.max).astype(dtype)
    return clipped


def dequantize(
    q: npt.ArrayLike, scale: npt.ArrayLike, zero_point: npt.ArrayLike, axis: int | None = None
) -> FloatArray:
    """``scale * (q - zero_point)`` in float32, one rounding. ``axis`` as in :func:`quantize`.

    Source: TFLM ``reference_ops::Dequantize``.
    """
    q = np.asarray(q).astype(np.int64)
    difference = (q - along(np.asarray(zero_point, np.int64), axis, q.ndim)).astype(np.float32)
    real: FloatArray = along(np.asarray(scale, np.float32), axis, q.ndim) * difference
    return real


def along(values: npt.NDArray[Any], axis: int | None, rank: int) -> npt.NDArray[Any]:
    """``values`` of shape (n,) shaped to broadcast along ``axis`` of an array of that rank."""
    if axis is None or values.size == 1:
        return values.reshape(()) if values.size == 1 else values
    return values.reshape([-1 if i == axis % rank else 1 for i in range(rank)])

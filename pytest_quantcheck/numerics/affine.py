"""Affine quantization, ``real = scale * (q - zero_point)``: choosing parameters and applying them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.numerics.arrays import Array, Float32, IntArray
from pytest_quantcheck.numerics.rounding import Rounding, round_real, settle
from pytest_quantcheck.numerics.rounding import round_half_away as round_half_away

Division = Literal["float32", "reciprocal", "exact"]
DIVISIONS: tuple[Division, ...] = get_args(Division)

DTYPES = ("int8", "uint8", "int16", "int32")

SMALLEST_SCALE = np.finfo(np.float32).tiny
"""2**-126. Below it float32 loses digits, and cores that flush subnormals would divide by zero."""

_LARGEST = np.int64(1 << 62)  # saturates in every supported type, whatever the zero point


@dataclass(frozen=True)
class QuantParams:
    """One scale and zero point of an integer type: the meaning of a tensor quantized as a whole."""

    scale: float
    zero_point: int = 0
    dtype: str = "int8"

    def __post_init__(self) -> None:
        low, high = integer_range(self.dtype)
        if not (np.isfinite(self.scale) and np.float32(self.scale) > 0 and low <= self.zero_point <= high):
            raise ValueError(
                f"{self!r}: a scale is finite and above 0, a zero point of {self.dtype} in [{low}, {high}]"
            )

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest integer."""
        return integer_range(self.dtype)


def integer_range(dtype: npt.DTypeLike, narrow: bool = False) -> tuple[int, int]:
    """Smallest and largest integer of ``dtype``; ``narrow`` leaves out the smallest one.

    Raises ``ValueError`` for a type that tensors are not quantized to.
    """
    name = np.dtype(dtype).name
    if name not in DTYPES:
        raise ValueError(f"dtype={name} is not quantized to; allowed: {', '.join(DTYPES)}")
    info = np.iinfo(name)
    return int(info.min) + narrow, int(info.max)


def choose_parameters(
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    dtype: npt.DTypeLike = np.int8,
    *,
    symmetric: bool = False,
    narrow: bool | None = None,
) -> tuple[Float32, IntArray]:
    """``(scale, zero_point)`` for real ranges ``[low, high]``, elementwise (one entry per channel).

    The range is widened to contain 0. With the integers ``[qmin, qmax]``, ``narrow`` ones leave out
    the smallest (default: where ``symmetric``):

    * asymmetric: ``scale = (high - low) / (qmax - qmin)``,
      ``zero_point = clamp(round(qmin - low / scale))``, halves away from zero;
    * symmetric: ``scale = max(-low / (zero_point - qmin), high / (qmax - zero_point))``,
      ``zero_point`` 0, for uint8 128.

    Computed in float64, the scale rounded to float32 before the zero point is. A range of zero width
    gives scale 1; a scale is at least ``SMALLEST_SCALE``. Raises ``ValueError`` for a range that is
    empty, not finite, or too wide for a float32 scale. Source: TFLite quantization specification;
    symmetric: its restricted range of weights.
    """
    lows, highs = np.broadcast_arrays(np.asarray(low, np.float64), np.asarray(high, np.float64))
    if not (np.all(np.isfinite(lows)) and np.all(np.isfinite(highs))) or np.any(lows > highs):
        raise ValueError(f"a range is finite and low <= high, got {lows} to {highs}")
    lows, highs = np.minimum(lows, 0.0), np.maximum(highs, 0.0)
    qmin, qmax = integer_range(dtype, symmetric if narrow is None else narrow)
    middle = 0 if qmin < 0 else 128
    with np.errstate(over="ignore"):
        if symmetric:
            wide = np.maximum(-lows / (middle - qmin), highs / (qmax - middle))
        else:
            wide = (highs - lows) / (qmax - qmin)
        scale = np.maximum(wide.astype(np.float32), SMALLEST_SCALE)
    if not np.all(np.isfinite(scale)):
        raise ValueError(f"the range {lows} to {highs} is too wide for a float32 scale")
    flat = highs == lows
    scale = np.where(flat, np.float32(1), scale)
    zeros = round_real(qmin - lows / scale) if not symmetric else np.full(scale.shape, float(middle))
    zero_point = np.where(flat, middle, np.clip(zeros, qmin, qmax)).astype(np.int64)
    return scale, zero_point


def quantize(
    x: npt.ArrayLike,
    scale: npt.ArrayLike,
    zero_point: npt.ArrayLike,
    dtype: npt.DTypeLike = np.int8,
    axis: int | None = None,
    *,
    rounding: Rounding = "half_away",
    division: Division = "float32",
) -> Array:
    """``clamp(round(x / scale) + zero_point)``; ``x`` and ``scale`` are float32.

    With ``axis`` scale and zero point hold one entry per slice along it. Values beyond the type
    saturate. ``division`` says what is rounded to an integer: the quotient rounded to ``float32``, the
    product with the float32 ``reciprocal`` of the scale, or the ``exact`` quotient. Raises
    ``ValueError`` for NaN, for a scale that is not finite and above 0 (``reciprocal``: not below
    ``SMALLEST_SCALE``, as XNNPACK demands), and for scales that do not fit the axis. Sources: TFLM
    ``reference_ops::AffineQuantize`` (the defaults); ONNX ``QuantizeLinear`` (``half_even``,
    ``float32``); XNNPACK ``vcvt`` (``half_even``, ``reciprocal``).
    """
    with np.errstate(over="ignore"):  # float64 beyond float32 saturates like infinity
        x = np.asarray(x, np.float32)
    if np.isnan(x).any():
        raise ValueError("NaN cannot be quantized")
    low, high = integer_range(dtype)
    scales = along(_checked_scales(scale), axis, x.shape)
    if division == "reciprocal" and np.any(scales < SMALLEST_SCALE):
        raise ValueError(f"a scale with a reciprocal is at least {SMALLEST_SCALE}, got {scale!r}")
    zeros = along(np.asarray(zero_point, np.int64), axis, x.shape)
    if division == "exact":
        integers = exact_quotient(x, scales, rounding)
    elif division in DIVISIONS:
        with np.errstate(over="ignore"):
            steps = x / scales if division == "float32" else x * (np.float32(1) / scales)
        integers = round_real(np.clip(steps, -_LARGEST, _LARGEST), rounding).astype(np.int64)
    else:
        raise ValueError(f"division={division!r} is not known; allowed: {', '.join(DIVISIONS)}")
    clipped: Array = np.clip(integers + zeros, low, high).astype(dtype)
    return clipped


def exact_quotient(x: npt.ArrayLike, scale: npt.ArrayLike, rounding: Rounding = "half_away") -> IntArray:
    """``x / scale`` of float32 numbers, rounded once, in integers: long division of the mantissas.

    ``scale`` is positive and finite. Saturates at ±2**62.
    """
    values, scales = np.broadcast_arrays(np.asarray(x, np.float32), np.asarray(scale, np.float32))
    infinite = np.isinf(values)
    mantissa, exponent = np.frexp(np.where(infinite, 0, values))
    divisor, divisor_exponent = np.frexp(scales)
    dividend = (mantissa * 2.0**24).astype(np.int64)
    divisors = (divisor * 2.0**24).astype(np.int64)
    power = exponent.astype(np.int64) - divisor_exponent
    denominator = divisors << np.clip(-power, 0, 36)  # beyond, the quotient stays below one half
    whole, rest = np.divmod(dividend << np.clip(power, 0, 34), denominator)
    more = np.clip(power - 34, 0, 28)
    further, rest = np.divmod(rest << more, denominator)
    result = settle((whole << more) + further, rest, denominator, rounding)
    beyond = infinite | ((power > 62) & (dividend != 0))
    return np.clip(np.where(beyond, np.where(values > 0, _LARGEST, -_LARGEST), result), -_LARGEST, _LARGEST)


def dequantize(
    q: npt.ArrayLike, scale: npt.ArrayLike, zero_point: npt.ArrayLike, axis: int | None = None
) -> Float32:
    """``scale * (q - zero_point)``, multiplied in float64, returned as float32.

    ``axis`` and errors as in :func:`quantize`. For 8 and 16 bits that is one rounding. Source: TFLM
    ``reference_ops::Dequantize``.
    """
    q = np.asarray(q).astype(np.int64)
    difference = q - along(np.asarray(zero_point, np.int64), axis, q.shape)
    scales = along(_checked_scales(scale), axis, q.shape).astype(np.float64)
    with np.errstate(over="ignore"):
        real: Float32 = (scales * difference).astype(np.float32)
    return real


def quantize_bias(
    bias: npt.ArrayLike,
    input_scale: npt.ArrayLike,
    weight_scale: npt.ArrayLike,
    *,
    bits: int = 32,
    rounding: Rounding = "half_away",
) -> tuple[IntArray, Float32]:
    """``(q, scale)`` of a bias (channels,): ``scale = input_scale * weight_scale``, zero point 0.

    The scale is the accumulator's, rounded to float32; ``q`` is the exact quotient rounded once and
    saturated at ``±(2**(bits - 1) - 1)``, ``bits`` up to 63. Integers that would not fit saturate
    instead of wrapping: https://github.com/microsoft/onnxruntime/issues/21000. Raises ``ValueError``
    for a bias or scale that is not finite. Source: TFLite quantization specification; 20 and 40 bits:
    ESP-DL on the ESP32-S3 (esp-ppq ``EspdlQuantizer``).
    """
    with np.errstate(over="ignore"):
        values = np.asarray(bias, np.float32)
    if not 2 <= bits <= 63:
        raise ValueError(f"bits={bits} is not possible; allowed: 2 to 63")
    with np.errstate(over="ignore", under="ignore"):
        scale = np.asarray(input_scale, np.float32) * np.asarray(weight_scale, np.float32)
    scales = (np.asarray(input_scale), np.asarray(weight_scale), scale)
    if not (np.all(np.isfinite(values)) and all(np.all(np.isfinite(s) & (s > 0)) for s in scales)):
        raise ValueError(f"a bias is finite, its scales finite and above 0, got {values} and {scales}")
    largest = (1 << (bits - 1)) - 1
    return np.clip(exact_quotient(values, scale, rounding), -largest, largest), scale


def along(values: Array, axis: int | None, shape: tuple[int, ...]) -> Array:
    """``values`` of shape (n,) shaped to broadcast along ``axis`` of an array of that shape.

    One value serves every slice. Raises ``ValueError`` where there is no such axis, or no value for
    each of its slices.
    """
    rank = len(shape)
    if axis is not None and not -rank <= axis < rank:
        raise ValueError(f"axis={axis} is not one of an array of shape {shape}")
    if axis is None or values.size == 1:
        return values.reshape(()) if values.size == 1 else values
    if values.shape != (shape[axis],):
        raise ValueError(f"{values.shape} parameters do not fit axis {axis} of an array of shape {shape}")
    return values.reshape([-1 if i == axis % rank else 1 for i in range(rank)])


def _checked_scales(scale: npt.ArrayLike) -> Float32:
    scales: Float32 = np.asarray(scale, np.float32)
    if not np.all((scales > 0) & np.isfinite(scales)):
        raise ValueError(f"a scale is finite and above 0, got {scale!r}")
    return scales

"""Fixed-point arithmetic of TFLite and TensorFlow Lite Micro, exact and vectorised over NumPy arrays.

Values live in int64 arrays but obey 32-bit rules: where the C++ kernels hold an ``int32_t``, results
wrap or saturate as they do there. Sources: gemmlowp ``fixedpoint/fixedpoint.h`` and TFLM
``tensorflow/lite/kernels/internal/{common,quantization_util}.cc``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.numerics.arrays import IntArray

INT32_MIN = -(1 << 31)
INT32_MAX = (1 << 31) - 1


def int64(x: npt.ArrayLike) -> IntArray:
    """``x`` as an int64 array, not copied when it is one."""
    return np.asarray(x, np.int64)


def wrap_int32(x: npt.ArrayLike) -> IntArray:
    """The low 32 bits of ``x`` as a signed number: two's-complement overflow of an ``int32_t``."""
    return int64(x).astype(np.int32).astype(np.int64)


def quantize_multiplier(real: npt.ArrayLike) -> tuple[IntArray, IntArray]:
    """``(multiplier, shift)`` with ``real ~= multiplier / 2**31 * 2**shift``, elementwise.

    ``real = f * 2**shift`` with ``0.5 <= f < 1``; ``multiplier = round(f * 2**31)``, half away from
    zero; a multiplier that rounds up to 2**31 becomes 2**30 with the next shift; a shift below -31
    gives ``(0, 0)``, as does 0. Raises ``ValueError`` for negative or non-finite values.
    Source: TFLite ``QuantizeMultiplier``.
    """
    values = np.asarray(real, np.float64)
    if not np.all(np.isfinite(values)) or np.any(values < 0):
        raise ValueError(f"a multiplier is finite and not negative, got {real!r}")
    fraction, exponent = np.frexp(values)
    multiplier = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    shift = exponent.astype(np.int64)
    full = multiplier == 1 << 31
    multiplier = np.where(full, 1 << 30, multiplier)
    shift = np.where(full, shift + 1, shift)
    tiny = shift < -31
    return np.where(tiny, 0, multiplier), np.where(tiny, 0, shift)


def saturating_rounding_doubling_high_mul(a: npt.ArrayLike, b: npt.ArrayLike) -> IntArray:
    """``round(a * b / 2**31)`` for int32 ``a`` and ``b``, half up, saturated to int32.

    The source truncates ``(a * b + nudge) / 2**31`` towards zero, ``nudge = 2**30`` or, for a negative
    product, ``1 - 2**30``: the same integer. Only ``a == b == -2**31`` saturates.
    Source: gemmlowp ``SaturatingRoundingDoublingHighMul``.
    """
    return int64(np.minimum((int64(a) * int64(b) + (1 << 30)) >> 31, INT32_MAX))


def divide_towards_zero_by_pot(x: npt.ArrayLike, exponent: npt.ArrayLike) -> IntArray:
    """``x / 2**exponent`` truncated towards zero, as integer division does in C."""
    value, bits = int64(x), int64(exponent)
    return np.where(value >= 0, value >> bits, -(-value >> bits))


def rounding_divide_by_pot(x: npt.ArrayLike, exponent: npt.ArrayLike) -> IntArray:
    """``round(x / 2**exponent)``, half away from zero, exponents from 0 to 31.

    Source: gemmlowp ``RoundingDivideByPOT``.
    """
    value, bits = int64(x), int64(exponent)
    mask = (int64(1) << bits) - 1
    threshold = (mask >> 1) + (value < 0)
    return (value >> bits) + ((value & mask) > threshold)


def saturating_shift_left(x: npt.ArrayLike, exponent: int) -> IntArray:
    """``x * 2**exponent`` saturated to int32. Source: gemmlowp ``SaturatingRoundingMultiplyByPOT``."""
    return int64(np.clip(int64(x) << exponent, INT32_MIN, INT32_MAX))


def multiply_by_quantized_multiplier(
    x: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike, rounding: str = "double"
) -> IntArray:
    """``x * multiplier / 2**31 * 2**shift`` on an int32 ``x``; arguments broadcast.

    ``"double"`` rounds twice: the value shifted left by ``max(shift, 0)`` (wrapping at 32 bits) goes
    through the doubling high multiply, then through the rounding right shift by ``max(-shift, 0)``.
    ``"single"`` rounds once, half up, at full precision. Shifts are from -31 to 30, as
    :func:`quantize_multiplier` gives them for factors below 2**30; ``ValueError`` for others.
    Source: TFLite ``MultiplyByQuantizedMultiplier`` without and with ``TFLITE_SINGLE_ROUNDING``.
    """
    _check_shift(shift, 30)
    if rounding == "single":
        total = 31 - int64(shift)
        return (int64(x) * int64(multiplier) + (int64(1) << (total - 1))) >> total
    if rounding != "double":
        raise ValueError(f"rounding={rounding!r} is not known; allowed: double, single")
    left, right = np.maximum(int64(shift), 0), np.maximum(-int64(shift), 0)
    high = saturating_rounding_doubling_high_mul(wrap_int32(int64(x) << left), multiplier)
    return rounding_divide_by_pot(high, right)


def multiply_by_reduced_multiplier(
    x: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike
) -> IntArray:
    """The rule for 48-bit accumulators of int16 kernels: the multiplier is rounded to 16 bits.

    ``(x * reduced + 2**(14 - shift)) >> (15 - shift)`` with ``reduced = (multiplier + 2**15) >> 16``
    but at most 0x7FFF; shifts from -31 to 7, ``ValueError`` for others.
    Source: TFLite ``MultiplyByQuantizedMultiplier(int64_t)``.
    """
    _check_shift(shift, 7)
    total = 15 - int64(shift)
    return (int64(x) * reduced_multiplier(multiplier) + (int64(1) << (total - 1))) >> total


def _check_shift(shift: npt.ArrayLike, largest: int) -> None:
    given = int64(shift)
    if np.any((given < -31) | (given > largest)):
        raise ValueError(f"shift is {given}; from -31 to {largest} it is defined")


def reduced_multiplier(multiplier: npt.ArrayLike) -> IntArray:
    """A 31-bit multiplier rounded to 15 bits, half up, at most 0x7FFF."""
    wide = int64(multiplier)
    return np.where(wide < 0x7FFF0000, (wide + (1 << 15)) >> 16, 0x7FFF)


def exp_on_negative_values(a: npt.ArrayLike, integer_bits: int = 5) -> IntArray:
    """``exp(a)`` in Q0.31 for ``a <= 0`` in Q``integer_bits``; 0 gives 2**31 - 1.

    The remainder below a quarter goes through a fourth-order Taylor polynomial around -1/8, each
    binary digit above it multiplies by a constant. Source: gemmlowp ``exp_on_negative_values``.
    """
    value = int64(a)
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    a_mod_quarter = (value & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_zero(saturating_shift_left(a_mod_quarter, integer_bits))
    remainder = a_mod_quarter - value
    for exponent, constant in _EXP_DIGITS:
        if exponent < integer_bits:
            bit = (remainder >> (fraction_bits + exponent)) & 1
            result = np.where(bit, saturating_rounding_doubling_high_mul(result, constant), result)
    return np.where(value == 0, INT32_MAX, result)


# exp(-2**exponent) in Q0.31
_EXP_DIGITS = (
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)


def _exp_between_minus_quarter_and_zero(a: IntArray) -> IntArray:
    """``exp(a)`` in Q0.31 for Q0.31 ``a`` in [-1/4, 0)."""
    mul = saturating_rounding_doubling_high_mul
    exp_minus_eighth, third = 1895147668, 715827883
    x = a + (1 << 28)
    x2 = mul(x, x)
    x3, x4 = mul(x2, x), mul(x2, x2)
    polynomial = rounding_divide_by_pot(mul(rounding_divide_by_pot(x4, 2) + x3, third) + x2, 1)
    return int64(np.minimum(exp_minus_eighth + mul(exp_minus_eighth, x + polynomial), INT32_MAX))


def reciprocal(x: npt.ArrayLike, integer_bits: int) -> tuple[IntArray, IntArray]:
    """``(scale, bits)`` with ``1 / x ~= scale / 2**31 / 2**bits`` for positive Q``integer_bits`` ``x``.

    ``x`` is normalised to [1, 2) by its leading zeros in 32 bits, then inverted by three
    Newton-Raphson steps. Source: TFLite ``GetReciprocal``, gemmlowp ``one_over_one_plus_x_for_x_in_0_1``.
    """
    value = int64(x)
    leading_zeros = 32 - np.frexp(value.astype(np.float64))[1].astype(np.int64)
    fraction = (value << leading_zeros) - (1 << 31)
    return _one_over_one_plus(fraction), integer_bits - leading_zeros


def reciprocal_square_root(x: npt.ArrayLike) -> tuple[IntArray, IntArray]:
    """``(multiplier, shift)`` with ``1 / sqrt(x) ~= multiplier / 2**31 * 2**shift`` for whole ``x`` from 1 to
    2**29 - 1; 1 gives 2**31 - 1.

    ``x`` is shifted left by pairs of bits into [1/2, 2), in Q3.28, then goes through five Newton-Raphson
    steps. Source: TFLite ``GetInvSqrtQuantizedMultiplierExp``.
    """
    mul, value = saturating_rounding_doubling_high_mul, int64(x)
    leading_zeros = 32 - np.frexp(value.astype(np.float64))[1].astype(np.int64)
    pairs = (leading_zeros - 1) // 2 - 1
    number = (value << 2 * pairs) >> 1
    half = rounding_divide_by_pot(number, 1)
    root = np.full_like(number, 1 << 28)
    for _ in range(5):
        cube = saturating_shift_left(mul(mul(root, root), root), 6)
        root = saturating_shift_left(mul((1 << 28) + (1 << 27), root) - mul(half, cube), 3)
    root = mul(root, 1518500250)  # sqrt(1/2) in Q0.31
    shift = 11 - pairs
    known = value > 1
    multiplier = np.where(known, root << np.maximum(-shift, 0), INT32_MAX)
    return multiplier, np.where(known, -np.maximum(shift, 0), 0)


def l2_normalized(x: npt.ArrayLike) -> IntArray:
    """Vectors along the last axis, of length 1 in steps of 1/128; whole numbers within 9 bits, not saturated.

    At most 8256 of them, so that the squares of a vector sum up to less than 2**29. Source: TFLite
    ``reference/integer_ops/l2normalization.h``.
    """
    value = int64(x)
    squares = np.maximum((value * value).sum(axis=-1, keepdims=True), 1)  # of 0 as of 1
    multiplier, shift = reciprocal_square_root(squares)
    return multiply_by_quantized_multiplier(value, multiplier, shift + 7)


def _one_over_one_plus(a: IntArray) -> IntArray:
    """``1 / (1 + a)`` in Q0.31 for Q0.31 ``a`` in [0, 1)."""
    return saturating_shift_left(_inverse_of_half(a), 1)


def _one_minus_over_one_plus(a: IntArray) -> IntArray:
    """``(1 - a) / (1 + a)`` in Q0.31 for Q0.31 ``a`` in [0, 1)."""
    return saturating_shift_left(_inverse_of_half(a) - (1 << 29), 2)


def _inverse_of_half(a: IntArray) -> IntArray:
    """``2 / (1 + a)`` in Q2.29 for Q0.31 ``a`` in [0, 1), by three Newton-Raphson steps."""
    mul = saturating_rounding_doubling_high_mul
    half = (a + (1 << 31)) >> 1  # the source's rounded half of a + 1, its 1 being 2**31 - 1
    x = 1515870810 + mul(half, -1010580540)  # 48/17 - 32/17 * half, in Q2.29
    for _ in range(3):
        error = (1 << 29) - mul(half, x)
        x = x + saturating_shift_left(mul(x, error), 2)
    return x


def logistic(a: npt.ArrayLike, integer_bits: int = 4) -> IntArray:
    """``1 / (1 + exp(-a))`` in Q0.31 for int32 ``a`` in Q``integer_bits``. Source: gemmlowp ``logistic``."""
    value = int64(a)
    positive = _one_over_one_plus(exp_on_negative_values(-np.abs(value), integer_bits))
    result = np.where(value > 0, positive, INT32_MAX - positive)
    return np.where(value == 0, 1 << 30, result)


def tanh(a: npt.ArrayLike, integer_bits: int = 4) -> IntArray:
    """``tanh(a)`` in Q0.31 for int32 ``a`` in Q``integer_bits``. Source: gemmlowp ``tanh``."""
    value = int64(a)
    # exp(-2 |a|): the same bits with one more integer bit
    size = _one_minus_over_one_plus(exp_on_negative_values(-np.abs(value), integer_bits + 1))
    return np.where(value == 0, 0, np.where(value < 0, -size, size))


def hard_swish(x: npt.ArrayLike, output: tuple[int, int], reluish: tuple[int, int]) -> IntArray:
    """``x * min(max(x + 3, 0), 6) / 6`` for int16 ``x``; ``(multiplier, shift)`` pairs, int32 multipliers.

    ``output`` (its shift at most 0) leads from ``x`` to the output's scale, ``reluish`` to one where 3 is
    2**15. All products are of 16 bits. Source: TFLM ``reference/hard_swish.h``.
    """
    value = int64(x)
    rescaled = _high_mul_int16(value, _int16_multiplier(output[0]))
    left = max(reluish[1], 0)
    gate = saturate_int16(value << (left - 1)) if left else value
    gate = _high_mul_int16(gate, _int16_multiplier(reluish[0]))
    gate = saturate_int16(gate << 1) if left else rounding_divide_by_pot(gate, -reluish[1])
    gate = (gate + (1 << 15)) >> 1
    return rounding_divide_by_pot(divide_towards_zero_by_pot(gate * rescaled, 15), -output[1])


def saturate_int16(x: npt.ArrayLike) -> IntArray:
    """``x`` limited to what an ``int16_t`` holds."""
    return int64(np.clip(int64(x), -(1 << 15), (1 << 15) - 1))


def _int16_multiplier(multiplier: int) -> int:
    """A 31-bit multiplier rounded to 15 bits. Source: TFLite ``DownScaleInt32ToInt16Multiplier``."""
    return min((int(multiplier) + (1 << 15)) >> 16, (1 << 15) - 1)


def _high_mul_int16(a: IntArray, b: int) -> IntArray:
    """``round(a * b / 2**15)``, half up. Source: gemmlowp ``SaturatingRoundingDoublingHighMul``, 16 bits."""
    return saturate_int16((a * b + (1 << 14)) >> 15)

/* Fixed-point arithmetic with the rounding of gemmlowp (fixedpoint.h) and TFLite's
 * MultiplyByQuantizedMultiplier in its double-rounding form. SPEC.md, section "Rounding". */
#ifndef QC_FIXED_POINT_H
#define QC_FIXED_POINT_H

#include <stdint.h>

#include "qc_float_rule.h"
#include "qc_simd.h"

/* round(a * b / 2^31), ties up; the one overflowing product saturates. */
QC_INLINE int32_t qc_doubling_high_multiply(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31);
}

/* round(x / 2^exponent), ties away from zero; 0 <= exponent <= 31. */
QC_INLINE int32_t qc_divide_by_power(int32_t x, int32_t exponent) {
  int32_t mask = (int32_t)((UINT32_C(1) << exponent) - 1u);
  int32_t remainder = x & mask;
  int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

/* x * 2^exponent, wrapping as the reference kernels' int32 product does; 0 <= exponent <= 31. */
QC_INLINE int32_t qc_shift_left(int32_t x, int32_t exponent) {
  return (int32_t)((uint32_t)x << exponent);
}

/* x + zero point, wrapping as the reference kernels' int32 sum does. */
QC_INLINE int32_t qc_add_zero_point(int32_t x, int32_t zero_point) {
  return (int32_t)((uint32_t)x + (uint32_t)zero_point);
}

/* x * multiplier / 2^31 * 2^shift with both roundings; multiplier >= 0, -31 <= shift <= 30. */
QC_INLINE int32_t qc_requantize(int32_t x, int32_t multiplier, int32_t shift) {
  if (shift > 30) return qc_requantize_rule(x, multiplier, shift);
  int32_t left = shift > 0 ? shift : 0;
  int32_t right = shift > 0 ? 0 : -shift;
  return qc_divide_by_power(qc_doubling_high_multiply(qc_shift_left(x, left), multiplier), right);
}

/* qc_requantize(x, multiplier, shift) + zero point for |x| < 2^30 and -20 <= shift <= -1, where
 * offset = 2^(-shift - 1) + zero point * 2^-shift: the first rounding adds half, the second one
 * half away from zero, and the zero point rides along. What the second one rounds is negative where
 * x is, or 0; one less than 0 is rounded to 0, too. */
QC_INLINE int32_t qc_requantize_fast(int32_t x, int32_t multiplier, int32_t offset, int32_t shift) {
  return (qc_high_rounded_plus(x * 2, multiplier, offset) + (x >> 31)) >> -shift;
}

/* The same for a sum of doubled products; right = -shift. Needs a register less. */
QC_INLINE int32_t qc_requantize_doubled(int32_t x, int32_t multiplier, int32_t offset,
                                        int32_t right) {
  int32_t high = qc_high_rounded_plus(x, multiplier, 0);
  return (high + offset + (high >> 31)) >> right;
}

QC_INLINE int32_t qc_fast_offset(int32_t shift, int32_t zero_point) {
  return (1 << (-shift - 1)) + zero_point * (1 << -shift);
}

QC_INLINE int32_t qc_clamp(int32_t x, int32_t low, int32_t high) {
  if (x < low) x = low;
  if (x > high) x = high;
  return x;
}

#endif

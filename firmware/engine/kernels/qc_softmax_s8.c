/* SOFTMAX over the last axis, int8 in, int8 (scale 1/256, zero point -128) or int16 (1/65536,
 * -32768) out: TFLite's reference_ops/softmax.h on gemmlowp fixed point. Names below give integer
 * bits: q5 is Q5.26. */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

#define QC_ONE INT32_MAX /* 1 in Q0.31 */

/* x * 2^exponent, saturating; 0 < exponent < 31. */
static int32_t saturating_shift_left(int32_t x, int32_t exponent) {
  int32_t limit = INT32_MAX >> exponent;
  if (x > limit) return INT32_MAX;
  if (x < -limit - 1) return INT32_MIN;
  return qc_shift_left(x, exponent);
}

/* exp(x) for x in [-1/4, 0), Q0.31: Taylor polynomial around -1/8 (gemmlowp fixedpoint.h). */
static int32_t exp_small(int32_t x) {
  const int32_t exp_minus_eighth = 1895147668, third = 715827883;
  int32_t y = x + (1 << 28);
  int32_t y2 = qc_doubling_high_multiply(y, y);
  int32_t y3 = qc_doubling_high_multiply(y2, y);
  int32_t y4_over_4 = qc_divide_by_power(qc_doubling_high_multiply(y2, y2), 2);
  int32_t tail = qc_doubling_high_multiply(y4_over_4 + y3, third) + y2;
  return exp_minus_eighth +
         qc_doubling_high_multiply(exp_minus_eighth, y + qc_divide_by_power(tail, 1));
}

/* exp(x) for x <= 0 in Q5.26, result Q0.31. */
static int32_t exp_q5(int32_t x) {
  static const int32_t powers[] = {/* exp(-2^k) in Q0.31 for k = -2 .. 4 */
                                   1672461947, 1302514674, 790015084, 290630308,
                                   39332535,   720401,     242};
  const int32_t quarter = 1 << 24;
  int32_t rest = (x & (quarter - 1)) - quarter; /* in [-1/4, 0) */
  int32_t steps = rest - x;
  if (x == 0) return QC_ONE;
  int32_t result = exp_small(saturating_shift_left(rest, 5));
  for (int k = 0; k < 7; k++)
    if (steps & (quarter << k)) result = qc_doubling_high_multiply(result, powers[k]);
  return result;
}

/* 1 / (1 + x) for x in [0, 1), Q0.31: Newton-Raphson with three steps (gemmlowp fixedpoint.h). */
static int32_t one_over_one_plus(int32_t x) {
  const int32_t c48_17 = 1515870810, minus_c32_17 = -1010580540; /* Q2.29 */
  int64_t sum = (int64_t)x + QC_ONE;
  int32_t half = (int32_t)((sum + 1) / 2); /* (1 + x) / 2 */
  int32_t y = c48_17 + qc_doubling_high_multiply(half, minus_c32_17);
  for (int i = 0; i < 3; i++) {
    int32_t error = (1 << 29) - qc_doubling_high_multiply(half, y);
    y += saturating_shift_left(qc_doubling_high_multiply(y, error), 2);
  }
  return saturating_shift_left(y, 1);
}

static int32_t leading_zeros(uint32_t x) {
  int32_t n = 0;
  while (n < 32 && !(x & 0x80000000u)) x <<= 1, n++;
  return n;
}

/* exp((q - largest) * beta * scale), 0 where the reference kernel cuts off. */
static int32_t exp_of(const qc_softmax_params_t *p, int32_t difference) {
  if (difference < p->diff_min) return 0;
  return exp_q5(
      qc_doubling_high_multiply(qc_shift_left(difference, (int32_t)p->left_shift), p->multiplier));
}

/* A row to one of the two outputs; the other is NULL. */
static void softmax_row(const qc_softmax_params_t *p, const int8_t *x, uint32_t depth,
                        int8_t *output, int16_t *wide) {
  int32_t largest = INT8_MIN, sum = 0; /* the sum in Q12.19 */
  for (uint32_t i = 0; i < depth; i++)
    if (x[i] > largest) largest = x[i];
  for (uint32_t i = 0; i < depth; i++) sum += qc_divide_by_power(exp_of(p, x[i] - largest), 12);
  int32_t headroom = leading_zeros((uint32_t)sum);
  int32_t mantissa = (int32_t)(((uint32_t)sum << headroom) - 0x80000000u);
  int32_t inverse = one_over_one_plus(mantissa);
  int32_t shift = 12 - headroom + 31 - (wide ? 16 : 8);
  for (uint32_t i = 0; i < depth; i++) {
    int32_t e = exp_of(p, x[i] - largest), y = 0; /* far more than 256 equal inputs: all 0 */
    if (shift <= 31) y = qc_divide_by_power(qc_doubling_high_multiply(inverse, e), shift);
    if (wide)
      wide[i] = (int16_t)qc_clamp(y + INT16_MIN, INT16_MIN, INT16_MAX);
    else
      output[i] = (int8_t)qc_clamp(y + INT8_MIN, INT8_MIN, INT8_MAX);
  }
}

void qc_softmax_s8(const qc_softmax_params_t *params, qc_operand_t input, const qc_tensor_t *out,
                   void *output) {
  const int8_t *x = input.data;
  int8_t *narrow = out->dtype == QC_INT8 ? output : NULL;
  int16_t *wide = out->dtype == QC_INT16 ? output : NULL;
  uint32_t depth = out->shape[out->rank - 1];
  for (uint32_t rows = qc_elements(out) / depth; rows > 0; rows--) {
    softmax_row(params, x, depth, narrow, wide);
    x += depth;
    if (wide)
      wide += depth;
    else
      narrow += depth;
  }
}

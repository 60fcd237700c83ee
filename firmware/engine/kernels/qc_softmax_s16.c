/* SOFTMAX over the last axis, int16 in and out (scale 1/32768), with interpolated tables of exp(x)
 * for -10 to 0 and of 1 / (1 + x) for 0 to 1, both Q0.15 (TFLite reference_ops/softmax.h,
 * SoftmaxInt16). */
#include "qc_kernels.h"
#include "qc_wide.h"

static int32_t leading_zeros(uint32_t x) {
  int32_t n = 0;
  while (n < 32 && !(x & 0x80000000u)) x <<= 1, n++;
  return n;
}

/* 1 / x in Q0.15 for the fraction of a sum that has `headroom` leading zeros behind its sign. */
static int32_t reciprocal(int32_t sum, int32_t headroom, const int16_t *table) {
  int64_t wide = ((int64_t)sum << headroom) + (1 << 13);
  int32_t x = (int32_t)(wide >> 14) - (1 << 16) - (1 << 15); /* 1 .. 2 as the whole int16 range */
  return qc_interpolate(qc_clamp(x, INT16_MIN, INT16_MAX), table);
}

static void softmax_row(const qc_wide_softmax_params_t *p, const int16_t *exponentials,
                        const int16_t *reciprocals, const int16_t *x, uint32_t depth,
                        int16_t *output) {
  int32_t largest = INT16_MIN, sum = 0; /* Q16.15 */
  for (uint32_t i = 0; i < depth; i++)
    if (x[i] > largest) largest = x[i];
  for (uint32_t i = 0; i < depth; i++) {
    int32_t steps = qc_requantize(x[i] - largest, p->multiplier, p->shift); /* of 10 / 65535 */
    int32_t e = qc_interpolate(qc_clamp(steps, INT16_MIN - INT16_MAX, 0) + INT16_MAX, exponentials);
    output[i] = (int16_t)e;
    sum += e;
  }
  int32_t headroom = leading_zeros((uint32_t)sum) - 1, shift = 30 - headroom;
  int32_t scale = reciprocal(sum, headroom, reciprocals);
  for (uint32_t i = 0; i < depth; i++) {
    int32_t y = (output[i] * scale + (1 << (shift - 1))) >> shift;
    output[i] = (int16_t)qc_clamp(y, 0, INT16_MAX);
  }
}

void qc_softmax_s16(const qc_wide_softmax_params_t *params, const uint8_t *constants,
                    qc_operand_t input, int16_t *output) {
  const int16_t *x = input.data;
  const int16_t *exponentials = (const void *)(constants + params->exponentials_offset);
  const int16_t *reciprocals = (const void *)(constants + params->reciprocals_offset);
  uint32_t depth = input.tensor->shape[input.tensor->rank - 1];
  for (uint32_t rows = qc_elements(input.tensor) / depth; rows > 0; rows--) {
    softmax_row(params, exponentials, reciprocals, x, depth, output);
    x += depth;
    output += depth;
  }
}

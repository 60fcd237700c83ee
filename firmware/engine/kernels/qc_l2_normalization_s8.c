/* L2_NORMALIZATION over the last axis, int8, output scale 1/128 and zero point 0: TFLite's
 * reference_ops/integer_ops/l2normalization.h and GetInvSqrtQuantizedMultiplierExp. */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

#define QC_HALF_SQRT_2 1518500250 /* sqrt(1/2) in Q0.31 */

/* 1 / sqrt(x) = multiplier / 2^31 * 2^shift for x below 2^29; of 0 as of 1. */
static int32_t inverse_root(uint32_t x, int32_t *shift) {
  int32_t right = 11;
  *shift = 0;
  if (x <= 1) return INT32_MAX;
  for (; x < UINT32_C(1) << 27; x <<= 2) right--;
  int32_t number = (int32_t)(x >> 1); /* in [1/2, 2), Q3.28 */
  int32_t half = qc_divide_by_power(number, 1), y = 1 << 28;
  for (int i = 0; i < 5; i++) { /* Newton-Raphson */
    int32_t cube = qc_doubling_high_multiply(qc_doubling_high_multiply(y, y), y);
    y = qc_doubling_high_multiply((1 << 28) + (1 << 27), y) -
        qc_doubling_high_multiply(half, qc_shift_left(cube, 6));
    y = qc_shift_left(y, 3);
  }
  y = qc_doubling_high_multiply(y, QC_HALF_SQRT_2);
  if (right < 0) return qc_shift_left(y, -right);
  *shift = -right;
  return y;
}

void qc_l2_normalization_s8(const qc_l2_params_t *params, qc_operand_t input, int8_t *output) {
  const int8_t *x = input.data;
  const qc_tensor_t *t = input.tensor;
  uint32_t depth = t->shape[t->rank - 1];
  for (uint32_t rows = t->bytes / depth; rows > 0; rows--) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < depth; i++) {
      int32_t value = x[i] - params->input_zero_point;
      sum += (uint32_t)(value * value);
    }
    int32_t shift, multiplier = inverse_root(sum, &shift);
    for (uint32_t i = 0; i < depth; i++) {
      int32_t y = qc_requantize(*x++ - params->input_zero_point, multiplier, shift + 7);
      *output++ = (int8_t)qc_clamp(y, INT8_MIN, INT8_MAX);
    }
  }
}

/* int16 activations, weights of 8 or 16 bits: what their kernels share. Zero points are 0. */
#ifndef QC_WIDE_H
#define QC_WIDE_H

#include "qc_fixed_point.h"
#include "qc_image.h"
#include "qc_kernels.h"
#include "qc_ratio_rule.h"

/* x * multiplier / 2^shift, ties up, modulo 2^32: the rule of 48-bit sums, whose multiplier has 15
 * bits. |x| <= 2^47, 1 <= shift <= 46. */
QC_INLINE int32_t qc_requantize_wide(int64_t x, int32_t multiplier, int32_t shift) {
  int64_t y = (x * multiplier + (INT64_C(1) << (shift - 1))) >> shift;
  return (int32_t)(uint32_t)(uint64_t)y;
}

/* The output that a sum gives; sums that are not wide are taken modulo 2^32. */
QC_INLINE int16_t qc_wide_output(const qc_conv_params_t *p, const qc_wide_channel_t *channel,
                                 int64_t sum) {
  int32_t y;
  if (p->packing == QC_PACKING_PLAIN16)
    y = qc_requantize_ratio(sum, channel->multiplier, channel->shift);
  else if (p->flags & QC_CONV_WIDE)
    y = qc_requantize_wide(sum, channel->multiplier, channel->shift);
  else
    y = qc_requantize((int32_t)(uint32_t)(uint64_t)sum, channel->multiplier, channel->shift);
  return (int16_t)qc_clamp(y, p->act_min, p->act_max);
}

/* Sum of x[i] * w[i]: 32 bits hold 256 products. */
QC_HOT static inline int64_t qc_dot_s16(const int16_t *x, const int8_t *w, int32_t count) {
  int64_t sum = 0;
  while (count > 0) {
    int32_t part = 0, step = count < 256 ? count : 256;
    count -= step;
    for (const int16_t *end = x + (step & ~3); x != end; x += 4, w += 4)
      part += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
    for (int32_t i = step & 3; i > 0; i--) part += *x++ * *w++;
    sum += part;
  }
  return sum;
}

/* The same with int16 weights: every product may fill 32 bits. */
QC_HOT static inline int64_t qc_dot_s16_s16(const int16_t *x, const int16_t *w, int32_t count) {
  int64_t sum = 0;
  for (const int16_t *end = x + count; x != end; x++, w++) sum += *x * *w;
  return sum;
}

/* Weight number `at`. */
QC_INLINE int32_t qc_wide_weight(const qc_wide_conv_t *op, int32_t at) {
  return op->params->packing == QC_PACKING_PLAIN16 ? ((const int16_t *)op->weights)[at]
                                                   : ((const int8_t *)op->weights)[at];
}

/* Sum of `count` products, with the weights from number `first` on. */
QC_INLINE int64_t qc_wide_dot(const qc_wide_conv_t *op, const int16_t *x, int32_t first,
                              int32_t count) {
  if (op->params->packing == QC_PACKING_PLAIN16)
    return qc_dot_s16_s16(x, (const int16_t *)op->weights + first, count);
  return qc_dot_s16(x, (const int8_t *)op->weights + first, count);
}

/* An interpolated table of 513 entries: the upper 9 bits choose the step, the lower 7 interpolate.
 */
QC_INLINE int32_t qc_interpolate(int32_t x, const int16_t *table) {
  const int16_t *at = table + 256 + (x >> 7);
  return at[0] + (((at[1] - at[0]) * (x & 0x7f) + 64) >> 7);
}

#endif

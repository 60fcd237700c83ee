/* LOGISTIC and TANH in Q0.15 by one table of the logistic function in Q0.16 at i / 24,
 * interpolated; tanh(x) = 2 * logistic(2 * x) - 1 (TFLite reference_integer_ops/logistic.h,
 * tanh.h). Inputs are in steps of the table divided by 2^9 (logistic) or 2^8 (tanh). */
#ifndef QC_SIGMOID_H
#define QC_SIGMOID_H

#include "qc_simd.h"

enum { QC_SIGMOID_LAST = 255 }; /* from this step on the functions are saturated */

/* The table at size / 2^bits, in Q0.(16 + bits). */
QC_INLINE int32_t qc_sigmoid_between(int32_t size, int32_t bits, const uint16_t *table) {
  int32_t i = size >> bits, rest = size & ((1 << bits) - 1);
  return table[i] * (1 << bits) + rest * (table[i + 1] - table[i]);
}

QC_INLINE int32_t qc_logistic_of(int32_t steps, const uint16_t *table) {
  int32_t size = steps < 0 ? -steps : steps;
  int32_t y = size >> 9 >= QC_SIGMOID_LAST ? 0x7fff << 10 : qc_sigmoid_between(size, 9, table);
  return (steps >= 0 ? y + (1 << 9) : (1 << 25) - y + (1 << 9) - 1) >> 10;
}

QC_INLINE int32_t qc_tanh_of(int32_t steps, const uint16_t *table) {
  int32_t size = steps < 0 ? -steps : steps;
  int32_t y = size >> 8 >= QC_SIGMOID_LAST ? 0xffff << 8 : qc_sigmoid_between(size, 8, table);
  return (steps >= 0 ? y - (1 << 23) + (1 << 7) : (1 << 23) - y + (1 << 7) - 1) >> 8;
}

#endif

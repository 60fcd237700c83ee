/* LOGISTIC and TANH for int16 in, Q0.15 out, by one table of the logistic function in Q0.16 at i /
 * 24, interpolated; tanh(x) = 2 * logistic(2 * x) - 1 (TFLite reference_integer_ops/logistic.h,
 * tanh.h). */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

enum { QC_LAST = 255 }; /* from this step on the functions are saturated */

/* The input in steps of the table divided by 2^bits (logistic) or 2^(bits + 1) (tanh). */
QC_INLINE int32_t steps_of(int32_t x, const qc_sigmoid_params_t *p) {
  int32_t half = p->shift > 0 ? 1 << (p->shift - 1) : 0;
  return (x * p->multiplier + half) >> p->shift;
}

/* The table at size / 2^bits, in Q0.(16 + bits). */
QC_INLINE int32_t interpolated(int32_t size, int32_t bits, const uint16_t *table) {
  int32_t i = size >> bits, rest = size & ((1 << bits) - 1);
  return table[i] * (1 << bits) + rest * (table[i + 1] - table[i]);
}

static int32_t logistic(int32_t steps, const uint16_t *table) {
  int32_t size = steps < 0 ? -steps : steps;
  int32_t y = size >> 9 >= QC_LAST ? 0x7fff << 10 : interpolated(size, 9, table);
  return (steps >= 0 ? y + (1 << 9) : (1 << 25) - y + (1 << 9) - 1) >> 10;
}

static int32_t tanh_of(int32_t steps, const uint16_t *table) {
  int32_t size = steps < 0 ? -steps : steps;
  int32_t y = size >> 8 >= QC_LAST ? 0xffff << 8 : interpolated(size, 8, table);
  return (steps >= 0 ? y - (1 << 23) + (1 << 7) : (1 << 23) - y + (1 << 7) - 1) >> 8;
}

void qc_sigmoid_s16(const qc_sigmoid_params_t *params, const uint8_t *constants, qc_operand_t input,
                    int16_t *output) {
  const int16_t *x = input.data;
  const uint16_t *table = (const void *)(constants + params->table_offset);
  for (uint32_t i = 0; i < qc_elements(input.tensor); i++) {
    int32_t steps = steps_of(x[i], params);
    output[i] =
        (int16_t)(params->function == QC_TANH ? tanh_of(steps, table) : logistic(steps, table));
  }
}

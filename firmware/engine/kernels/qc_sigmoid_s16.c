/* LOGISTIC and TANH for int16 in, Q0.15 out. */
#include "qc_sigmoid.h"

#include "qc_fixed_point.h"
#include "qc_kernels.h"

/* The input in steps of the table divided by 2^bits (logistic) or 2^(bits + 1) (tanh). */
QC_INLINE int32_t steps_of(int32_t x, const qc_sigmoid_params_t *p) {
  int32_t half = p->shift > 0 ? 1 << (p->shift - 1) : 0;
  return (x * p->multiplier + half) >> p->shift;
}

void qc_sigmoid_s16(const qc_sigmoid_params_t *params, const uint8_t *constants, qc_operand_t input,
                    int16_t *output) {
  const int16_t *x = input.data;
  const uint16_t *table = (const void *)(constants + params->table_offset);
  for (uint32_t i = 0; i < qc_elements(input.tensor); i++) {
    int32_t steps = steps_of(x[i], params);
    output[i] = (int16_t)(params->function == QC_TANH ? qc_tanh_of(steps, table)
                                                      : qc_logistic_of(steps, table));
  }
}

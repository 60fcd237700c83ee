/* LOGISTIC and TANH for int8: one of 256 results that the image holds. */
#include "qc_kernels.h"

void qc_table_s8(const int8_t *table, qc_operand_t input, int8_t *output) {
  const int8_t *x = input.data;
  for (uint32_t i = 0; i < input.tensor->bytes; i++) output[i] = table[x[i] + 128];
}

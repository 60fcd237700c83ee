/* Functions of one byte (LOGISTIC, TANH, HARD_SWISH, LEAKY_RELU, RELU, QUANTIZE): one of 256
 * results that the image holds. */
#include "qc_kernels.h"

void qc_table(const uint8_t *table, qc_operand_t input, uint8_t *output) {
  const uint8_t *x = input.data;
  for (uint32_t i = 0; i < input.tensor->bytes; i++) output[i] = table[x[i]];
}

/* DEQUANTIZE: int8, uint8 or int16 to float32, scale * (q - zero point), rounded once to nearest,
 * even: the product has at most 40 bits. Integers only, as qc_quantize_f32.c. */
#include "qc_float32.h"
#include "qc_kernels.h"

static int32_t value_at(qc_operand_t operand, uint32_t i) {
  if (operand.tensor->dtype == QC_INT16) return ((const int16_t *)operand.data)[i];
  if (operand.tensor->dtype == QC_INT8) return ((const int8_t *)operand.data)[i];
  return ((const uint8_t *)operand.data)[i];
}

void qc_dequantize_f32(const qc_float_edge_params_t *params, qc_operand_t input, uint32_t *output) {
  qc_float_t scale = qc_float_normalized(params->scale);
  for (uint32_t i = 0; i < qc_elements(input.tensor); i++) {
    int32_t steps = value_at(input, i) - params->zero_point;
    uint32_t size = (uint32_t)(steps < 0 ? -steps : steps);
    uint32_t bits = qc_float_packed((uint64_t)scale.mantissa * size, scale.exponent - 23);
    output[i] = steps < 0 ? bits | QC_FLOAT_SIGN : bits;
  }
}

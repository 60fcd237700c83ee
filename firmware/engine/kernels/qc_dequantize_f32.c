/* DEQUANTIZE: int8 or uint8 to float32, scale * (q - zero point), rounded once to nearest, even:
 * the product has at most 32 bits. Integers only, as qc_quantize_f32.c. */
#include "qc_float32.h"
#include "qc_kernels.h"

void qc_dequantize_f32(const qc_float_edge_params_t *params, qc_operand_t input, uint32_t *output) {
  const uint8_t *data = input.data;
  uint8_t dtype = input.tensor->dtype;
  qc_float_t scale = qc_float_normalized(params->scale);
  for (uint32_t i = 0; i < input.tensor->bytes; i++) {
    int32_t steps = (dtype == QC_INT8 ? (int8_t)data[i] : data[i]) - params->zero_point;
    uint32_t size = (uint32_t)(steps < 0 ? -steps : steps);
    uint32_t bits = qc_float_packed((qc_float_t){scale.mantissa * size, scale.exponent - 23});
    output[i] = steps < 0 ? bits | QC_FLOAT_SIGN : bits;
  }
}

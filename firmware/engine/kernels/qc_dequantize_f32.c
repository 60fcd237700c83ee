/* DEQUANTIZE: int8 or uint8 to float32, scale * (q - zero point). The product of a float32 with a
 * 9-bit integer is rounded once, as in TFLite's double-precision form. */
#include "qc_kernels.h"

void qc_dequantize_f32(const qc_float_edge_params_t *params, qc_operand_t input, float *output) {
  const uint8_t *data = input.data;
  uint8_t dtype = input.tensor->dtype;
  for (uint32_t i = 0; i < input.tensor->bytes; i++) {
    int32_t q = dtype == QC_INT8 ? (int8_t)data[i] : data[i];
    output[i] = params->scale * (float)(q - params->zero_point);
  }
}

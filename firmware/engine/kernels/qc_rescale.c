/* RELU, RELU6 and QUANTIZE between 8-bit types: clamp(requantize(q - zero point) + zero point).
 * A function of one byte: large tensors go through a table in scratch. */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

QC_INLINE uint8_t rescaled(uint8_t byte, const qc_rescale_params_t *p, uint8_t dtype) {
  int32_t x = dtype == QC_INT8 ? (int8_t)byte : byte;
  x -= p->input_zero_point;
  if (p->flags & QC_RESCALE_MULTIPLY) x = qc_requantize(x, p->multiplier, p->shift);
  return (uint8_t)qc_clamp(x + p->output_zero_point, p->act_min, p->act_max);
}

void qc_rescale(const qc_rescale_params_t *params, qc_operand_t input, const qc_tensor_t *out,
                uint8_t *output, uint8_t *scratch) {
  const uint8_t *data = input.data;
  uint8_t dtype = input.tensor->dtype;
  if (out->bytes < QC_RESCALE_TABLE_ELEMENTS) {
    for (uint32_t i = 0; i < out->bytes; i++) output[i] = rescaled(data[i], params, dtype);
    return;
  }
  for (uint32_t i = 0; i < 256; i++) scratch[i] = rescaled((uint8_t)i, params, dtype);
  for (uint32_t i = 0; i < out->bytes; i++) output[i] = scratch[data[i]];
}

/* RELU, RELU6 and QUANTIZE between integer types: clamp(requantize(q - zero point) + zero point).
 * A function of one byte: large 8-bit tensors go through a table in scratch. */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

QC_INLINE int32_t rescaled(int32_t x, const qc_rescale_params_t *p) {
  x -= p->input_zero_point;
  if (p->flags & QC_RESCALE_MULTIPLY) x = qc_requantize(x, p->multiplier, p->shift);
  return qc_clamp(qc_add_zero_point(x, p->output_zero_point), p->act_min, p->act_max);
}

QC_INLINE int32_t value_at(qc_operand_t operand, uint32_t i) {
  if (operand.tensor->dtype == QC_INT16) return ((const int16_t *)operand.data)[i];
  if (operand.tensor->dtype == QC_INT8) return ((const int8_t *)operand.data)[i];
  return ((const uint8_t *)operand.data)[i];
}

void qc_rescale(const qc_rescale_params_t *params, qc_operand_t input, const qc_tensor_t *out,
                uint8_t *output, uint8_t *scratch) {
  uint32_t count = qc_elements(out);
  int wide = out->dtype == QC_INT16;
  if (!qc_rescale_has_table(input.tensor, out)) {
    for (uint32_t i = 0; i < count; i++) {
      int32_t y = rescaled(value_at(input, i), params);
      if (wide)
        ((int16_t *)(void *)output)[i] = (int16_t)y;
      else
        output[i] = (uint8_t)y;
    }
    return;
  }
  const uint8_t *data = input.data;
  for (uint32_t i = 0; i < 256; i++) {
    int32_t x = input.tensor->dtype == QC_INT8 ? (int8_t)i : (int32_t)i;
    scratch[i] = (uint8_t)rescaled(x, params);
  }
  for (uint32_t i = 0; i < count; i++) output[i] = scratch[data[i]];
}

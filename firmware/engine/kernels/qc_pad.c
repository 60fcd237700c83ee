/* PAD and PADV2: 8-bit types and int16, up to five axes, one fill value. */
#include "qc_kernels.h"
#include "qc_simd.h"

void qc_pad(const qc_pad_params_t *params, qc_operand_t input, const qc_tensor_t *out,
            uint8_t *output) {
  const qc_tensor_t *in = input.tensor;
  const uint8_t *data = input.data;
  uint32_t size = in->dtype == QC_INT16 ? 2 : 1, last = in->rank - 1u;
  uint32_t row = in->shape[last] * size, rows = in->bytes / row;
  uint32_t index[QC_MAX_RANK] = {0};
  if (size == 1)
    qc_fill(output, (int)params->value, out->bytes);
  else
    for (uint32_t i = 0; i < out->bytes / 2; i++)
      ((int16_t *)(void *)output)[i] = (int16_t)params->value;
  for (; rows > 0; rows--, data += row) {
    uint32_t at = 0;
    for (uint32_t i = 0; i <= last; i++) at = at * out->shape[i] + index[i] + params->before[i];
    qc_copy(output + at * size, data, row);
    for (uint32_t i = last; i-- > 0;) {
      if (++index[i] < in->shape[i]) break;
      index[i] = 0;
    }
  }
}

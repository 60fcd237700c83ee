/* PAD and PADV2: 8-bit types, up to five axes, one fill value. */
#include "qc_kernels.h"
#include "qc_simd.h"

void qc_pad(const qc_pad_params_t *params, qc_operand_t input, const qc_tensor_t *out,
            uint8_t *output) {
  const qc_tensor_t *in = input.tensor;
  const uint8_t *data = input.data;
  uint32_t last = in->rank - 1u, rows = qc_elements(in) / in->shape[last];
  uint32_t index[QC_MAX_RANK] = {0};
  qc_fill(output, (int)params->value, out->bytes);
  for (; rows > 0; rows--, data += in->shape[last]) {
    uint32_t at = 0;
    for (uint32_t i = 0; i <= last; i++) at = at * out->shape[i] + index[i] + params->before[i];
    qc_copy(output + at, data, in->shape[last]);
    for (uint32_t i = last; i-- > 0;) {
      if (++index[i] < in->shape[i]) break;
      index[i] = 0;
    }
  }
}

/* RELU, RELU6 and QUANTIZE where int16 is on either side: clamp(requantize(q - zero point) + zero
 * point). */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

QC_INLINE int32_t rescaled(int32_t x, const qc_rescale_params_t *p) {
  x -= p->input_zero_point;
  if (p->flags & QC_RESCALE_MULTIPLY) x = qc_requantize(x, p->multiplier, p->shift);
  return qc_clamp(qc_add_zero_point(x, p->output_zero_point), p->act_min, p->act_max);
}

void qc_rescale(const qc_rescale_params_t *params, qc_operand_t input, const qc_tensor_t *out,
                void *output) {
  uint32_t count = qc_elements(out);
  for (uint32_t i = 0; i < count; i++)
    qc_store(output, out->dtype, i, rescaled(qc_fetch(input, i), params));
}

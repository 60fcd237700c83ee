/* MUL: int8 or int16 with NumPy broadcasting, clamp(requantize((a - zero point) * (b - zero point))
 * + zero point) (TFLite reference_integer_ops/mul.h). */
#include "qc_broadcast.h"
#include "qc_fixed_point.h"
#include "qc_kernels.h"

QC_INLINE int32_t value_at(qc_operand_t operand, uint32_t i) {
  if (operand.tensor->dtype == QC_INT16) return ((const int16_t *)operand.data)[i];
  return ((const int8_t *)operand.data)[i];
}

void qc_mul(const qc_mul_params_t *params, qc_operand_t a, qc_operand_t b, const qc_tensor_t *out,
            void *output) {
  const qc_mul_params_t *p = params;
  int16_t *wide = output;
  int8_t *narrow = output;
  qc_broadcast_t walk = qc_broadcast(a.tensor, b.tensor, out);
  for (uint32_t i = qc_elements(out); i > 0; i--, qc_broadcast_next(&walk)) {
    int32_t x = value_at(a, walk.at[0]) - p->input1_zero_point;
    int32_t y = value_at(b, walk.at[1]) - p->input2_zero_point;
    int32_t z = qc_requantize(x * y, p->multiplier, p->shift);
    z = qc_clamp(qc_add_zero_point(z, p->output_zero_point), p->act_min, p->act_max);
    if (out->dtype == QC_INT16)
      *wide++ = (int16_t)z;
    else
      *narrow++ = (int8_t)z;
  }
}

/* ADD: int16 with NumPy broadcasting. Each input: q << left_shift, requantized to a common scale;
 * the sum requantized to the output's scale (TFLite reference_ops/add.h). */
#include "qc_broadcast.h"
#include "qc_fixed_point.h"
#include "qc_kernels.h"

void qc_add_s16(const qc_add_params_t *params, qc_operand_t a, qc_operand_t b,
                const qc_tensor_t *out, int16_t *output) {
  const qc_add_params_t *p = params;
  const int16_t *data_a = a.data, *data_b = b.data;
  int32_t left = (int32_t)p->left_shift;
  qc_broadcast_t walk = qc_broadcast(a.tensor, b.tensor, out);
  for (uint32_t i = qc_elements(out); i > 0; i--, qc_broadcast_next(&walk)) {
    int32_t x = qc_requantize(qc_shift_left(data_a[walk.at[0]], left), p->input1_multiplier,
                              p->input1_shift);
    int32_t y = qc_requantize(qc_shift_left(data_b[walk.at[1]], left), p->input2_multiplier,
                              p->input2_shift);
    int32_t sum = (int32_t)((uint32_t)x + (uint32_t)y);
    int32_t z = qc_requantize(sum, p->output_multiplier, p->output_shift);
    *output++ = (int16_t)qc_clamp(z, p->act_min, p->act_max);
  }
}

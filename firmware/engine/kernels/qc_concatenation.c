/* CONCATENATION and PACK: one input's slice along an axis of the output, all with the output's
 * scale; clamped behind the last one where the operator has a fused activation. */
#include "qc_fixed_point.h"
#include "qc_kernels.h"
#include "qc_move.h"
#include "qc_simd.h"

static void clamp(const qc_concatenation_params_t *p, const qc_tensor_t *out, void *output) {
  int32_t whole = out->dtype == QC_INT16 ? INT16_MAX : INT8_MAX;
  if (p->act_min < -whole && p->act_max == whole) return;
  for (uint32_t i = 0; i < qc_elements(out); i++) {
    int32_t value = qc_fetch((qc_operand_t){output, out}, i);
    qc_store(output, out->dtype, i, qc_clamp(value, p->act_min, p->act_max));
  }
}

void qc_concatenation(const qc_concatenation_params_t *params, qc_operand_t input,
                      const qc_tensor_t *out, uint32_t position, uint8_t *output) {
  const qc_tensor_t *in = input.tensor;
  uint32_t axis = params->axis;
  qc_move_t move = {.rank = in->rank, .size = in->dtype == QC_INT16 ? 2 : 1};
  qc_copy(move.count, in->shape, sizeof move.count);
  qc_row_major(in, move.from);
  qc_row_major(out, move.to);
  qc_move(&move, input.data, output + position * (uint32_t)move.to[axis] * move.size);
  if (position + in->shape[axis] == out->shape[axis]) clamp(params, out, output);
}

/* CONCATENATION: int8 slices along one axis, all with the output's scale; clamped where the
 * operator has a fused activation. */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

void qc_concatenation_s8(const qc_concatenation_params_t *params, qc_operand_t input,
                         const qc_tensor_t *out, uint32_t position, int8_t *output) {
  const int8_t *data = input.data;
  uint32_t inner = 1;
  for (uint32_t i = params->axis + 1; i < out->rank; i++) inner *= out->shape[i];
  uint32_t slice = input.tensor->shape[params->axis] * inner;
  uint32_t pitch = out->shape[params->axis] * inner;
  uint32_t count = qc_elements(input.tensor) / slice;
  int narrow = params->act_min > INT8_MIN || params->act_max < INT8_MAX;
  int8_t *to = output + position * inner;
  for (; count > 0; count--, data += slice, to += pitch) {
    qc_copy(to, data, slice);
    for (uint32_t i = 0; narrow && i < slice; i++)
      to[i] = (int8_t)qc_clamp(to[i], params->act_min, params->act_max);
  }
}

/* CONCATENATION: int16 slices along one axis, all with the output's scale. */
#include "qc_kernels.h"
#include "qc_simd.h"

void qc_concatenation_s16(const qc_concatenation_params_t *params, qc_operand_t input,
                          const qc_tensor_t *out, uint32_t position, int16_t *output) {
  const int16_t *data = input.data;
  uint32_t inner = 1;
  for (uint32_t i = params->axis + 1; i < out->rank; i++) inner *= out->shape[i];
  uint32_t slice = input.tensor->shape[params->axis] * inner;
  uint32_t pitch = out->shape[params->axis] * inner;
  int16_t *to = output + position * inner;
  for (uint32_t i = qc_elements(input.tensor) / slice; i > 0; i--, data += slice, to += pitch)
    qc_copy(to, data, 2u * slice);
}

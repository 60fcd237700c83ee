/* ARG_MAX, ARG_MIN: where along the middle axis of (outer, n, inner) the largest or the smallest
 * value is; the first of equal ones (TFLite reference/arg_min_max.h). */
#include "qc_kernels.h"

void qc_arg_max_s8(const qc_arg_max_params_t *params, qc_operand_t input, int32_t *output) {
  const int8_t *x = input.data;
  const uint32_t *shape = input.tensor->shape;
  int32_t sign = params->flags & QC_ARG_SMALLEST ? -1 : 1;
  for (uint32_t outer = 0; outer < shape[0]; outer++, x += shape[1] * shape[2])
    for (uint32_t inner = 0; inner < shape[2]; inner++) {
      const int8_t *at = x + inner;
      uint32_t best = 0;
      int32_t most = *at * sign;
      for (uint32_t i = 1; i < shape[1]; i++) {
        at += shape[2];
        if (*at * sign > most) most = *at * sign, best = i;
      }
      *output++ = (int32_t)best;
    }
}

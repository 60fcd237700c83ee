/* MEAN: int16 over any set of axes. requantize(sum(q)), where the multiplier contains 1 / count
 * (TFLite reference_ops/reduce.h, QuantizedMeanOrSum). */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

/* The element that a position has along the axes of a set, counted in row-major order. */
static uint32_t element_at(const qc_tensor_t *t, uint32_t axes, uint32_t position) {
  uint32_t at = 0, step = 1;
  for (uint32_t i = t->rank; i-- > 0; step *= t->shape[i]) {
    if (!(axes >> i & 1u)) continue;
    at += position % t->shape[i] * step;
    position /= t->shape[i];
  }
  return at;
}

void qc_mean_s16(const qc_mean_params_t *params, qc_operand_t input, uint32_t outputs,
                 int16_t *output) {
  const int16_t *data = input.data;
  uint32_t count = qc_elements(input.tensor) / outputs;
  for (uint32_t o = 0; o < outputs; o++) {
    const int16_t *first = data + element_at(input.tensor, ~params->axes, o);
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += first[element_at(input.tensor, params->axes, i)];
    int32_t y = qc_requantize(sum, params->multiplier, params->shift);
    *output++ = (int16_t)qc_clamp(y, INT16_MIN, INT16_MAX);
  }
}

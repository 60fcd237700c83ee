/* MEAN: int8 over any set of axes. requantize(sum(q) - count * zero_point) + output zero point;
 * the multiplier contains 1 / count (TFLite reference_ops/reduce.h, QuantizedMeanOrSum). */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

/* Splits the axes into kept and reduced ones; returns how many elements the set has. */
static uint32_t select_axes(const qc_tensor_t *t, uint32_t axes, uint32_t dims[QC_MAX_RANK],
                            uint32_t strides[QC_MAX_RANK]) {
  uint32_t step = 1, count = 1;
  for (uint32_t i = QC_MAX_RANK; i-- > 0;) {
    dims[i] = 1, strides[i] = 0;
    if (i >= t->rank) continue;
    if (axes >> i & 1u) {
      dims[i] = t->shape[i], strides[i] = step;
      count *= t->shape[i];
    }
    step *= t->shape[i];
  }
  return count;
}

/* Moves to the next position of a set of axes and returns its offset change. */
QC_INLINE uint32_t advance(uint32_t index[QC_MAX_RANK], const uint32_t dims[QC_MAX_RANK],
                           const uint32_t strides[QC_MAX_RANK], uint32_t offset) {
  for (uint32_t i = QC_MAX_RANK; i-- > 0;) {
    offset += strides[i];
    if (++index[i] < dims[i]) return offset;
    offset -= strides[i] * dims[i];
    index[i] = 0;
  }
  return offset;
}

void qc_mean_s8(const qc_mean_params_t *params, qc_operand_t input, int8_t *output) {
  const int8_t *data = input.data;
  uint32_t kept_dims[QC_MAX_RANK], kept_strides[QC_MAX_RANK];
  uint32_t dims[QC_MAX_RANK], strides[QC_MAX_RANK];
  uint32_t outputs = select_axes(input.tensor, ~params->axes, kept_dims, kept_strides);
  uint32_t count = select_axes(input.tensor, params->axes, dims, strides);
  uint32_t kept_index[QC_MAX_RANK] = {0}, base = 0;
  for (; outputs > 0; outputs--) {
    uint32_t index[QC_MAX_RANK] = {0}, offset = base;
    int32_t sum = 0;
    for (uint32_t i = count; i > 0; i--) {
      sum += data[offset];
      offset = advance(index, dims, strides, offset);
    }
    sum -= (int32_t)count * params->input_zero_point;
    int32_t y = qc_requantize(sum, params->multiplier, params->shift);
    y = qc_add_zero_point(y, params->output_zero_point);
    *output++ = (int8_t)qc_clamp(y, INT8_MIN, INT8_MAX);
    base = advance(kept_index, kept_dims, kept_strides, base);
  }
}

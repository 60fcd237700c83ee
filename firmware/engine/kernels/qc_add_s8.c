/* ADD: int8 with NumPy broadcasting. Each input: (q - zero_point) << left_shift, requantized to a
 * common scale; the sum requantized to the output's scale. An input takes 256 values at most, so
 * that large tensors read their rescaled inputs from two tables in scratch. */
#include <stdbool.h>

#include "qc_fixed_point.h"
#include "qc_kernels.h"

typedef struct {
  int32_t zero_point, multiplier, shift;
  uint32_t left_shift;
  const int32_t *table; /* indexed by the input's byte; NULL: compute */
} qc_addend_t;

QC_INLINE int32_t rescaled(int32_t q, const qc_addend_t *addend) {
  int32_t x = qc_shift_left(q - addend->zero_point, (int32_t)addend->left_shift);
  return qc_requantize(x, addend->multiplier, addend->shift);
}

/* factor 2 is safe: rescaled inputs stay below 2^28, as 20 is the largest left shift. */
static void fill_table(int32_t *table, qc_addend_t *addend, int32_t factor) {
  for (int32_t q = INT8_MIN; q <= INT8_MAX; q++) table[(uint8_t)q] = rescaled(q, addend) * factor;
  addend->table = table;
}

QC_INLINE int32_t addend_of(int8_t q, const qc_addend_t *addend) {
  return addend->table ? addend->table[(uint8_t)q] : rescaled(q, addend);
}

QC_INLINE int8_t finish(int32_t sum, const qc_add_params_t *p) {
  int32_t y = qc_requantize(sum, p->output_multiplier, p->output_shift);
  return (int8_t)qc_clamp(qc_add_zero_point(y, p->output_zero_point), p->act_min, p->act_max);
}

/* The common case: equal shapes, an output multiplier below one half, tables of doubled values. */
QC_INLINE void add_tables(const qc_add_params_t *p, const uint8_t *a, const int32_t *table_a,
                          const uint8_t *b, const int32_t *table_b, int8_t *output, uint32_t count,
                          bool narrow) {
  int32_t multiplier = p->output_multiplier, right = -p->output_shift;
  int32_t offset = qc_fast_offset(p->output_shift, p->output_zero_point);
  int32_t low = p->act_min, high = p->act_max;
  for (const uint8_t *end = a + count; a != end;) {
    int32_t sum = table_a[*a++] + table_b[*b++];
    int32_t y = qc_requantize_doubled(sum, multiplier, offset, right);
#if QC_DSP
    y = qc_saturate8(y);
    if (narrow) y = qc_clamp(y, low, high);
#else
    (void)narrow;
    y = qc_clamp(y, low, high);
#endif
    *output++ = (int8_t)y;
  }
}

QC_HOT static void add_equal(const qc_add_params_t *p, const void *a, const int32_t *table_a,
                             const void *b, const int32_t *table_b, int8_t *output,
                             uint32_t count) {
  if (QC_DSP && p->act_min == INT8_MIN && p->act_max == INT8_MAX)
    add_tables(p, a, table_a, b, table_b, output, count, false);
  else
    add_tables(p, a, table_a, b, table_b, output, count, true);
}

/* Elements an input advances per step along each output axis; 0 where it is broadcast. */
static void strides_of(const qc_tensor_t *input, const qc_tensor_t *output,
                       uint32_t strides[QC_MAX_RANK]) {
  uint32_t step = 1;
  for (uint32_t i = 0; i < output->rank; i++) {
    uint32_t axis = output->rank - 1 - i;
    uint32_t dim = i < input->rank ? input->shape[input->rank - 1 - i] : 1;
    strides[axis] = dim == 1 ? 0 : step;
    step *= dim;
  }
}

static bool same_shape(const qc_tensor_t *a, const qc_tensor_t *b) {
  if (a->rank != b->rank) return false;
  for (uint32_t i = 0; i < a->rank; i++)
    if (a->shape[i] != b->shape[i]) return false;
  return true;
}

static void add_broadcast(const qc_add_params_t *p, const int8_t *a, const uint32_t *strides_a,
                          const qc_addend_t *addend_a, const int8_t *b, const uint32_t *strides_b,
                          const qc_addend_t *addend_b, const qc_tensor_t *out, int8_t *output) {
  uint32_t index[QC_MAX_RANK] = {0};
  for (uint32_t left = qc_elements(out); left > 0; left--) {
    uint32_t at_a = 0, at_b = 0;
    for (uint32_t i = 0; i < out->rank; i++) {
      at_a += index[i] * strides_a[i];
      at_b += index[i] * strides_b[i];
    }
    *output++ = finish(addend_of(a[at_a], addend_a) + addend_of(b[at_b], addend_b), p);
    for (uint32_t i = out->rank; i-- > 0;) {
      if (++index[i] < out->shape[i]) break;
      index[i] = 0;
    }
  }
}

void qc_add_s8(const qc_add_params_t *params, qc_operand_t a, qc_operand_t b,
               const qc_tensor_t *out, int8_t *output, int32_t *scratch) {
  const qc_add_params_t *p = params;
  uint32_t count = qc_elements(out);
  qc_addend_t first = {p->input1_zero_point, p->input1_multiplier, p->input1_shift, p->left_shift,
                       NULL};
  qc_addend_t second = {p->input2_zero_point, p->input2_multiplier, p->input2_shift, p->left_shift,
                        NULL};
  bool equal = same_shape(a.tensor, out) && same_shape(b.tensor, out);
  bool fast = equal && p->output_shift < 0 && p->output_shift >= -QC_FAST_SHIFT;
  if (count >= QC_ADD_TABLE_ELEMENTS) {
    fill_table(scratch, &first, fast ? 2 : 1);
    fill_table(scratch + 256, &second, fast ? 2 : 1);
    if (fast) {
      add_equal(p, a.data, first.table, b.data, second.table, output, count);
      return;
    }
  }
  uint32_t strides_a[QC_MAX_RANK], strides_b[QC_MAX_RANK];
  strides_of(a.tensor, out, strides_a);
  strides_of(b.tensor, out, strides_b);
  add_broadcast(p, a.data, strides_a, &first, b.data, strides_b, &second, out, output);
}

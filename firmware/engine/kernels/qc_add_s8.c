/* ADD and SUB: many int8 of one shape. Each input: (q - zero_point) << left_shift, requantized to a
 * common scale; the sum requantized to the output's scale. An input takes 256 values at most, so
 * that both are read from tables in scratch. */
#include <stdbool.h>

#include "qc_fixed_point.h"
#include "qc_kernels.h"

/* Rescaled inputs stay below 2^28, as 20 is the largest left shift: there is room for a factor of 2
 * or -2. */
static void fill_table(int32_t *table, const qc_add_params_t *p, int32_t zero_point,
                       int32_t multiplier, int32_t shift, int32_t factor) {
  for (int32_t q = INT8_MIN; q <= INT8_MAX; q++) {
    int32_t x = qc_shift_left(q - zero_point, (int32_t)p->left_shift);
    table[(uint8_t)q] = qc_requantize(x, multiplier, shift) * factor;
  }
}

/* An output multiplier below one half, tables of doubled values. */
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

QC_HOT static void add_equal(const qc_add_params_t *p, const void *a, const void *b,
                             const int32_t *tables, int8_t *output, uint32_t count) {
  if (QC_DSP && p->act_min == INT8_MIN && p->act_max == INT8_MAX)
    add_tables(p, a, tables, b, tables + 256, output, count, false);
  else
    add_tables(p, a, tables, b, tables + 256, output, count, true);
}

void qc_add_s8(const qc_add_params_t *params, int subtract, const int8_t *a, const int8_t *b,
               int8_t *output, uint32_t count, int32_t *scratch) {
  const qc_add_params_t *p = params;
  fill_table(scratch, p, p->input1_zero_point, p->input1_multiplier, p->input1_shift, 2);
  fill_table(scratch + 256, p, p->input2_zero_point, p->input2_multiplier, p->input2_shift,
             subtract ? -2 : 2);
  add_equal(p, a, b, scratch, output, count);
}

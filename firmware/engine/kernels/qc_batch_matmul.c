/* BATCH_MATMUL: matrices of int8 or int16, the axes before them broadcast as in NumPy.
 * clamp(requantize(sum((a - zero point) * (b - zero point))) + zero point) (TFLite
 * reference/batch_matmul.h). The sums of int16 have 64 bits and the multiplier of 15 bits. */
#include "qc_broadcast.h"
#include "qc_kernels.h"
#include "qc_wide.h"

/* The axes before a tensor's matrices. */
static qc_tensor_t batches_of(const qc_tensor_t *t) {
  qc_tensor_t batches = *t;
  batches.rank = (uint8_t)(t->rank - 2);
  return batches;
}

/* A row of a, or a column of b: where it begins, and the elements from one value to the next. */
typedef struct {
  uint32_t at, step;
} line_t;

static int8_t dot_s8(const qc_matmul_params_t *p, const int8_t *a, line_t row, const int8_t *b,
                     line_t column, uint32_t depth) {
  int32_t sum = 0;
  for (a += row.at, b += column.at; depth > 0; depth--, a += row.step, b += column.step)
    sum = qc_mac(sum, *a - p->input1_zero_point, *b - p->input2_zero_point);
  int32_t y = qc_requantize(sum, p->multiplier, p->shift);
  return (int8_t)qc_clamp(qc_add_zero_point(y, p->output_zero_point), INT8_MIN, INT8_MAX);
}

static int16_t dot_s16(const qc_matmul_params_t *p, const int16_t *a, line_t row, const int16_t *b,
                       line_t column, uint32_t depth) {
  int64_t sum = 0;
  for (a += row.at, b += column.at; depth > 0; depth--, a += row.step, b += column.step)
    sum += *a * *b;
  return (int16_t)qc_clamp(qc_requantize_wide(sum, p->multiplier, p->shift), INT16_MIN, INT16_MAX);
}

void qc_batch_matmul(const qc_matmul_params_t *params, qc_operand_t a, qc_operand_t b,
                     const qc_tensor_t *out, void *output) {
  const qc_tensor_t *shape_a = a.tensor, *shape_b = b.tensor;
  uint32_t rows = out->shape[out->rank - 2], columns = out->shape[out->rank - 1];
  uint32_t width_a = shape_a->shape[shape_a->rank - 1], width_b = shape_b->shape[shape_b->rank - 1];
  int adj_x = (params->flags & QC_ADJ_X) != 0, adj_y = (params->flags & QC_ADJ_Y) != 0;
  uint32_t depth = adj_x ? shape_a->shape[shape_a->rank - 2] : width_a;
  uint32_t next_row = adj_x ? 1 : width_a, next_column = adj_y ? width_b : 1;
  qc_tensor_t batches[] = {batches_of(shape_a), batches_of(shape_b), batches_of(out)};
  qc_broadcast_t walk = qc_broadcast(&batches[0], &batches[1], &batches[2]);
  int8_t *bytes = output;
  int16_t *words = output;
  for (uint32_t left = qc_elements(&batches[2]); left > 0; left--, qc_broadcast_next(&walk))
    for (uint32_t i = 0; i < rows; i++)
      for (uint32_t j = 0; j < columns; j++) {
        line_t row = {walk.at[0] * rows * depth + i * next_row, adj_x ? width_a : 1};
        line_t column = {walk.at[1] * columns * depth + j * next_column, adj_y ? 1 : width_b};
        if (out->dtype == QC_INT16)
          *words++ = dot_s16(params, a.data, row, b.data, column, depth);
        else
          *bytes++ = dot_s8(params, a.data, row, b.data, column, depth);
      }
}

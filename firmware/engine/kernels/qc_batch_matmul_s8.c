/* BATCH_MATMUL: int8 matrices, the axes before them broadcast as in NumPy. clamp(requantize(sum((a
 * - zero point) * (b - zero point))) + zero point) (TFLite reference/batch_matmul.h). */
#include "qc_broadcast.h"
#include "qc_fixed_point.h"
#include "qc_kernels.h"

/* The axes before a tensor's matrices. */
static qc_tensor_t batches_of(const qc_tensor_t *t) {
  qc_tensor_t batches = *t;
  batches.rank = (uint8_t)(t->rank - 2);
  return batches;
}

static int32_t dot(const qc_matmul_params_t *p, const int8_t *a, uint32_t step_a, const int8_t *b,
                   uint32_t step_b, uint32_t depth) {
  int32_t sum = 0;
  for (; depth > 0; depth--, a += step_a, b += step_b)
    sum = qc_mac(sum, *a - p->input1_zero_point, *b - p->input2_zero_point);
  int32_t y = qc_requantize(sum, p->multiplier, p->shift);
  return qc_clamp(qc_add_zero_point(y, p->output_zero_point), INT8_MIN, INT8_MAX);
}

void qc_batch_matmul_s8(const qc_matmul_params_t *params, qc_operand_t a, qc_operand_t b,
                        const qc_tensor_t *out, int8_t *output) {
  const qc_tensor_t *shape_a = a.tensor, *shape_b = b.tensor;
  uint32_t rows = out->shape[out->rank - 2], columns = out->shape[out->rank - 1];
  uint32_t width_a = shape_a->shape[shape_a->rank - 1], width_b = shape_b->shape[shape_b->rank - 1];
  int adj_x = (params->flags & QC_ADJ_X) != 0, adj_y = (params->flags & QC_ADJ_Y) != 0;
  uint32_t depth = adj_x ? shape_a->shape[shape_a->rank - 2] : width_a;
  uint32_t row_a = adj_x ? 1 : width_a, step_a = adj_x ? width_a : 1;
  uint32_t column_b = adj_y ? width_b : 1, step_b = adj_y ? 1 : width_b;
  qc_tensor_t batches[] = {batches_of(shape_a), batches_of(shape_b), batches_of(out)};
  qc_broadcast_t walk = qc_broadcast(&batches[0], &batches[1], &batches[2]);
  for (uint32_t left = qc_elements(&batches[2]); left > 0; left--, qc_broadcast_next(&walk)) {
    const int8_t *data_a = (const int8_t *)a.data + walk.at[0] * rows * depth;
    const int8_t *data_b = (const int8_t *)b.data + walk.at[1] * columns * depth;
    for (uint32_t i = 0; i < rows; i++)
      for (uint32_t j = 0; j < columns; j++)
        *output++ =
            (int8_t)dot(params, data_a + i * row_a, step_a, data_b + j * column_b, step_b, depth);
  }
}

#include "qc_work.h"

#include "qc_layout.h"

static uint64_t smaller(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/* The products, and the cells of the input rows that go through the ring for each channel. */
static uint64_t depthwise_work(const qc_conv_params_t *p, const qc_tensor_t *out) {
  const qc_window_t *w = &p->window;
  uint64_t rows = qc_plane_rows(w), width = qc_plane_width(w, out->shape[2]);
  uint64_t fetched = rows + (out->shape[1] - 1u) * smaller(w->stride_h, rows);
  uint64_t products = (uint64_t)out->bytes * w->kernel_h * w->kernel_w;
  uint64_t channels = (uint64_t)out->shape[0] * out->shape[3];
  return products + channels * fetched * width + QC_DEPTHWISE_GROUP * rows * width;
}

static uint64_t inner_work(const qc_image_t *image, const qc_operator_t *op) {
  const void *params = image->params + op->params_offset;
  const qc_conv_params_t *conv = params;
  const qc_pool_params_t *pool = params;
  const qc_matmul_params_t *matmul = params;
  const qc_lstm_params_t *lstm = params;
  const qc_tensor_t *in = qc_operator_input(image, op, 0), *out = qc_operator_output(image, op);
  uint64_t channels = out->rank > 0 ? out->shape[out->rank - 1] : 1;
  switch ((qc_opcode_t)op->opcode) {
  case QC_OP_CONV_2D:
  case QC_OP_FULLY_CONNECTED:
  case QC_OP_TRANSPOSE_CONV:
    return out->bytes / channels * conv->weights_bytes;
  case QC_OP_LSTM: /* every step goes through all weights */
    return out->bytes / channels * lstm->weights_bytes;
  case QC_OP_BATCH_MATMUL: /* a row has as many elements as a sum has products, or a column has */
    return (uint64_t)out->bytes *
           (matmul->flags & QC_ADJ_X ? in->shape[in->rank - 2u] : in->shape[in->rank - 1u]);
  case QC_OP_DEPTHWISE_CONV_2D:
    return depthwise_work(conv, out);
  case QC_OP_AVERAGE_POOL_2D:
  case QC_OP_MAX_POOL_2D:
    return out->bytes * smaller(pool->window.kernel_h, in->shape[1]) *
           smaller(pool->window.kernel_w, in->shape[2]);
  default:
    return UINT64_C(16) * (in->bytes > out->bytes ? in->bytes : out->bytes);
  }
}

uint64_t qc_operator_work(const qc_image_t *image, const qc_operator_t *op) {
  return inner_work(image, op) + UINT64_C(32) * qc_operator_output(image, op)->bytes;
}

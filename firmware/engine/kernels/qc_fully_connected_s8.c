/* FULLY_CONNECTED: input (batches, depth) int8, weights BLOCK4X4 (qc_columns.h), output (batches,
 * units) int8. Rounds twice, as TFLM does (LiteRT's reference kernel rounds once). */
#include "qc_columns.h"
#include "qc_fixed_point.h"

/* Weights with a zero point are rare: sum((w - zero_point) * x), one output at a time. */
static void shifted_weights(const qc_conv_t *op, uint32_t k) {
  const qc_conv_params_t *p = op->params;
  for (int32_t b = 0; b < op->out.n; b++) {
    const int8_t *x = op->input + b * op->in.c;
    for (int32_t c = 0; c < op->out.c; c++) {
      const qc_channel_t *channel = &op->channels[c];
      const int8_t *w = op->weights + (uint32_t)(c / 4) * 4u * k + 4 * (c % 4);
      int32_t sum = channel->bias;
      for (int32_t i = 0; i < op->in.c; i++)
        sum += (w[16 * (i / 4) + i % 4] - p->weight_zero_point) * x[i];
      int32_t y = qc_requantize(sum, channel->multiplier, channel->shift) + p->output_zero_point;
      op->output[b * op->out.c + c] = (int8_t)qc_clamp(y, p->act_min, p->act_max);
    }
  }
}

/* A batch's inputs as one column. */
QC_INLINE void column_of(const int8_t *x, uint32_t depth, uint8_t *column, uint32_t step) {
#if QC_DSP
  column = qc_widen(column, x, depth / 4, step);
  if (depth % 4 != 0) {
    int8_t last[4] = {0};
    qc_copy(last, x + depth / 4 * 4, depth % 4);
    qc_widen(column, last, 1, step);
  }
#else
  (void)step;
  qc_copy(column, x, depth);
  qc_fill(column + depth, 0, -depth & 3u);
#endif
}

QC_HOT void qc_fully_connected_s8(const qc_conv_t *op) {
  uint32_t depth = (uint32_t)op->in.c, k = qc_round_up(depth, 4);
  uint8_t *columns = op->scratch;
  if (op->params->weight_zero_point != 0) {
    shifted_weights(op, k);
    return;
  }
  for (int32_t b = 0; b < op->out.n; b += QC_COLUMNS) {
    int32_t count = op->out.n - b < QC_COLUMNS ? op->out.n - b : QC_COLUMNS;
    const int8_t *x = op->input + b * op->in.c;
    int8_t *output = op->output + b * op->out.c;
#if QC_DSP
    for (int32_t i = 0; i < count; i++)
      column_of(x + i * op->in.c, depth, columns + 8 * i, count > 1 ? 16 : 8);
    qc_columns_multiply(op, columns, k, count, output);
#else
    const int8_t *column[QC_COLUMNS];
    for (int32_t i = 0; i < count; i++) {
      column_of(x + i * op->in.c, depth, columns + (uint32_t)i * k, 0);
      column[i] = (const int8_t *)columns + (uint32_t)i * k;
    }
    qc_columns_multiply(op, column, k, count, output);
#endif
  }
}

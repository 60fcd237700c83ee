/* FULLY_CONNECTED: input (batches, depth) int8, weights BLOCK4X4 or PAIRED4X4 (qc_columns.h),
 * output (batches, units) int8. Rounds twice, as TFLM does (LiteRT's reference kernel rounds once).
 */
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
        sum = qc_mac(sum, w[16 * (i / 4) + i % 4] - p->weight_zero_point, x[i]);
      int32_t y = qc_requantize(sum, channel->multiplier, channel->shift);
      y = qc_add_zero_point(y, p->output_zero_point);
      op->output[b * op->out.c + c] = (int8_t)qc_clamp(y, p->act_min, p->act_max);
    }
  }
}

QC_HOT void qc_fully_connected_s8(const qc_conv_t *op) {
  uint32_t depth = (uint32_t)op->in.c;
  const int8_t *x = op->input;
  int8_t *output = op->output;
  if (op->params->weight_zero_point != 0) {
    shifted_weights(op, qc_round_up(depth, 4));
    return;
  }
#if QC_DSP
  int32_t left = op->out.n;
  for (; left > 1; left -= 2, x += 2 * depth, output += 2 * op->out.c) {
    uint8_t *columns = op->scratch;
    qc_widen_run(columns, x, depth);
    qc_widen_run(columns + 8, x + depth, depth);
    qc_columns_multiply_2(op, columns, qc_round_up(depth, 4), output);
  }
  if (left > 0) qc_columns_multiply_1(op, x, depth, output);
#else
  for (int32_t left = op->out.n; left > 0; left -= QC_COLUMNS) {
    const int8_t *columns[QC_COLUMNS] = {x, x + depth, x + 2 * depth, x + 3 * depth};
    qc_columns_multiply(op, columns, depth, left < QC_COLUMNS ? left : QC_COLUMNS, output);
    x += QC_COLUMNS * depth, output += QC_COLUMNS * op->out.c;
  }
#endif
}

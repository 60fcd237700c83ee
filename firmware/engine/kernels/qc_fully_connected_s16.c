/* FULLY_CONNECTED: input (batches, depth) int16, weights (units, depth) int8 or int16, output
 * (batches, units) int16. The multiplier of its 64-bit sums has 15 bits, as in TFLM (LiteRT's
 * reference kernel keeps all 31). */
#include "qc_kernels.h"
#include "qc_wide.h"

void qc_fully_connected_s16(const qc_wide_conv_t *op) {
  int16_t *output = op->output;
  for (int32_t b = 0; b < op->out.n; b++) {
    int32_t weights = 0;
    for (int32_t c = 0; c < op->out.c; c++, weights += op->depth) {
      const qc_wide_channel_t *channel = &op->channels[c];
      int64_t sum = channel->bias + qc_wide_dot(op, op->input + b * op->depth, weights, op->depth);
      *output++ = qc_wide_output(op->params, channel, sum);
    }
  }
}

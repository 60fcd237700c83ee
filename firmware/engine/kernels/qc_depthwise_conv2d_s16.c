/* DEPTHWISE_CONV_2D: input NHWC int16, weights [kernel h][kernel w][output channel] int8 or int16,
 * output NHWC int16; output channel = input channel * depth_multiplier + m. Cells outside the input
 * count nothing, since its zero point is 0 (TFLite reference_integer_ops/depthwise_conv.h). */
#include "qc_kernels.h"
#include "qc_wide.h"

QC_HOT static int64_t window_sum(const qc_wide_conv_t *op, int32_t n, int32_t top, int32_t left,
                                 int32_t c) {
  const qc_window_t *w = &op->params->window;
  const int16_t *input = op->input + n * op->in.h * op->in.w * op->in.c;
  int32_t weights = c;
  int32_t source = c / (int32_t)op->params->depth_multiplier;
  int64_t sum = 0;
  for (int32_t i = 0, y = top; i < w->kernel_h; i++, y += w->dilation_h)
    for (int32_t j = 0, x = left; j < w->kernel_w; j++, x += w->dilation_w, weights += op->out.c)
      if (y >= 0 && y < op->in.h && x >= 0 && x < op->in.w)
        sum += input[(y * op->in.w + x) * op->in.c + source] * qc_wide_weight(op, weights);
  return sum;
}

void qc_depthwise_conv2d_s16(const qc_wide_conv_t *op) {
  const qc_conv_params_t *p = op->params;
  int16_t *output = op->output;
  for (int32_t n = 0; n < op->out.n; n++)
    for (int32_t oy = 0; oy < op->out.h; oy++)
      for (int32_t ox = 0; ox < op->out.w; ox++) {
        int32_t top = oy * p->window.stride_h - p->window.pad_top;
        int32_t left = ox * p->window.stride_w - p->window.pad_left;
        for (int32_t c = 0; c < op->out.c; c++) {
          const qc_wide_channel_t *channel = &op->channels[c];
          *output++ = qc_wide_output(p, channel, channel->bias + window_sum(op, n, top, left, c));
        }
      }
}

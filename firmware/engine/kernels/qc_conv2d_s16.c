/* CONV_2D: input NHWC int16, weights OHWI int8 or int16, output NHWC int16. Cells outside the input
 * count nothing, since its zero point is 0. Sums of 64 bits are requantized with a 15-bit
 * multiplier, sums of 32 bits with both roundings (TFLite reference_integer_ops/conv.h). */
#include "qc_kernels.h"
#include "qc_wide.h"

/* One output value: `group` is where its input channels start, `weights` where its weights do. */
static int64_t window_sum(const qc_wide_conv_t *op, int32_t n, int32_t top, int32_t left,
                          int32_t group, int32_t weights) {
  const qc_window_t *w = &op->params->window;
  int32_t channels = op->in.c, depth = op->depth, row = w->kernel_w * depth;
  int64_t sum = 0;
  for (int32_t i = 0, y = top; i < w->kernel_h; i++, y += w->dilation_h, weights += row) {
    if (y < 0 || y >= op->in.h) continue;
    const int16_t *input = op->input + (n * op->in.h + y) * op->in.w * channels + group;
    if (w->dilation_w == 1 && depth == channels) { /* the cells of a row lie together */
      int32_t first = left < 0 ? -left : 0;
      int32_t last = left + w->kernel_w > op->in.w ? op->in.w - left : w->kernel_w;
      if (first < last)
        sum += qc_wide_dot(op, input + (left + first) * channels, weights + first * depth,
                           (last - first) * depth);
      continue;
    }
    for (int32_t j = 0, x = left; j < w->kernel_w; j++, x += w->dilation_w)
      if (x >= 0 && x < op->in.w)
        sum += qc_wide_dot(op, input + x * channels, weights + j * depth, depth);
  }
  return sum;
}

void qc_conv2d_s16(const qc_wide_conv_t *op) {
  const qc_conv_params_t *p = op->params;
  int32_t size = p->window.kernel_h * p->window.kernel_w * op->depth;
  int32_t per_group = op->out.c / (op->in.c / op->depth); /* output channels */
  int16_t *output = op->output;
  for (int32_t n = 0; n < op->out.n; n++)
    for (int32_t oy = 0; oy < op->out.h; oy++)
      for (int32_t ox = 0; ox < op->out.w; ox++) {
        int32_t top = oy * p->window.stride_h - p->window.pad_top;
        int32_t left = ox * p->window.stride_w - p->window.pad_left;
        for (int32_t c = 0; c < op->out.c; c++) {
          const qc_wide_channel_t *channel = &op->channels[c];
          int32_t group = c / per_group * op->depth;
          int64_t sum = window_sum(op, n, top, left, group, c * size);
          *output++ = qc_wide_output(p, channel, channel->bias + sum);
        }
      }
}

/* TRANSPOSE_CONV: int8, weights [output channel][kernel_h][kernel_w][input channel] as in the
 * source. Every output cell gathers the input cells that reach it; the sum is the same as that of
 * TFLite's reference_integer_ops/transpose_conv.h, which scatters. */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

/* The kernel cells that see an output position are first, first + stride, ...; the input position
 * sinks by one with each. */
typedef struct {
  int32_t first, from;
} qc_reach_t;

static qc_reach_t reach(int32_t out, int32_t pad, int32_t stride, int32_t size) {
  qc_reach_t r = {(out + pad) % stride, (out + pad) / stride};
  if (r.from >= size) {
    r.first += (r.from - size + 1) * stride;
    r.from = size - 1;
  }
  return r;
}

/* One output: all its kernel cells, all input channels. */
static int32_t gather(const qc_conv_t *op, const int8_t *input, qc_reach_t y, qc_reach_t x,
                      int32_t channel, int32_t sum) {
  const qc_conv_params_t *p = op->params;
  const qc_window_t *w = &p->window;
  int32_t depth = op->in.c, zero_point = p->input_zero_point;
  const int8_t *weights = op->weights + (size_t)channel * w->kernel_h * w->kernel_w * (size_t)depth;
  for (int32_t i = y.first, row = y.from; i < w->kernel_h && row >= 0; i += w->stride_h, row--)
    for (int32_t j = x.first, column = x.from; j < w->kernel_w && column >= 0;
         j += w->stride_w, column--) {
      const int8_t *a = input + (size_t)(row * op->in.w + column) * (size_t)depth;
      const int8_t *b = weights + (size_t)(i * w->kernel_w + j) * (size_t)depth;
      for (int32_t c = 0; c < depth; c++) sum = qc_mac(sum, a[c] - zero_point, b[c]);
    }
  return sum;
}

void qc_transpose_conv2d_s8(const qc_conv_t *op) {
  const qc_conv_params_t *p = op->params;
  const qc_window_t *w = &p->window;
  const int8_t *input = op->input;
  int8_t *output = op->output;
  for (int32_t n = 0; n < op->out.n; n++, input += op->in.h * op->in.w * op->in.c)
    for (int32_t y = 0; y < op->out.h; y++)
      for (int32_t x = 0; x < op->out.w; x++) {
        qc_reach_t rows = reach(y, w->pad_top, w->stride_h, op->in.h);
        qc_reach_t columns = reach(x, w->pad_left, w->stride_w, op->in.w);
        for (int32_t c = 0; c < op->out.c; c++) {
          const qc_channel_t *channel = &op->channels[c];
          int32_t sum = gather(op, input, rows, columns, c, channel->bias);
          int32_t value = qc_requantize(sum, channel->multiplier, channel->shift);
          value = qc_add_zero_point(value, p->output_zero_point);
          *output++ = (int8_t)qc_clamp(value, p->act_min, p->act_max);
        }
      }
}

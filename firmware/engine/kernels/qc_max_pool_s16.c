/* MAX_POOL_2D: NHWC int16, the largest of the window's cells inside the input, then clamped. */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

/* The largest value of one channel over the cells [y, bottom) x [x, right). */
static int32_t largest(const qc_wide_pool_t *op, int32_t n, int32_t y, int32_t bottom, int32_t x,
                       int32_t right, int32_t c) {
  int32_t value = INT16_MIN;
  for (; y < bottom; y++)
    for (int32_t at = x; at < right; at++) {
      int32_t cell = op->input[((n * op->in.h + y) * op->in.w + at) * op->in.c + c];
      if (cell > value) value = cell;
    }
  return value;
}

void qc_max_pool_s16(const qc_wide_pool_t *op) {
  const qc_pool_params_t *p = op->params;
  int16_t *output = op->output;
  for (int32_t n = 0; n < op->out.n; n++)
    for (int32_t oy = 0; oy < op->out.h; oy++)
      for (int32_t ox = 0; ox < op->out.w; ox++) {
        int32_t y = oy * p->window.stride_h - p->window.pad_top;
        int32_t x = ox * p->window.stride_w - p->window.pad_left;
        int32_t bottom = y + p->window.kernel_h < op->in.h ? y + p->window.kernel_h : op->in.h;
        int32_t right = x + p->window.kernel_w < op->in.w ? x + p->window.kernel_w : op->in.w;
        if (y < 0) y = 0;
        if (x < 0) x = 0;
        for (int32_t c = 0; c < op->in.c; c++)
          *output++ =
              (int16_t)qc_clamp(largest(op, n, y, bottom, x, right, c), p->act_min, p->act_max);
      }
}

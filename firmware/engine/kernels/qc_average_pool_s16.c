/* AVERAGE_POOL_2D: NHWC int16. The mean over the window's cells inside the input, rounded half away
 * from zero (TFLite reference_integer_ops/pooling.h). */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

QC_INLINE int32_t mean(int32_t sum, int32_t count) {
  return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

void qc_average_pool_s16(const qc_wide_pool_t *op) {
  const qc_pool_params_t *p = op->params;
  int32_t channels = op->in.c, row = op->in.w * channels;
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
        const int16_t *first = op->input + ((n * op->in.h + y) * op->in.w + x) * channels;
        for (int32_t c = 0; c < channels; c++) {
          int32_t sum = 0;
          for (int32_t i = 0; i < bottom - y; i++)
            for (int32_t j = 0; j < right - x; j++) sum += first[i * row + j * channels + c];
          int32_t value = mean(sum, (bottom - y) * (right - x));
          *output++ = (int16_t)qc_clamp(value, p->act_min, p->act_max);
        }
      }
}

/* MAX_POOL_2D: NHWC int8, the largest of the window's cells inside the input, then clamped. */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

/* output[i] = max(output[i], input[i]) */
QC_HOT static void take_larger(int8_t *output, const int8_t *input, int32_t count) {
#if QC_DSP
  for (; count >= 4; count -= 4, input += 4, output += 4)
    qc_store32(output, qc_max8(qc_load32(output), qc_load32(input)));
#endif
  for (int32_t i = 0; i < count; i++)
    if (input[i] > output[i]) output[i] = input[i];
}

void qc_max_pool_s8(const qc_pool_t *op) {
  const qc_pool_params_t *p = op->params;
  int32_t channels = op->in.c;
  int8_t *output = op->output;
  for (int32_t n = 0; n < op->out.n; n++)
    for (int32_t oy = 0; oy < op->out.h; oy++)
      for (int32_t ox = 0; ox < op->out.w; ox++, output += channels) {
        int32_t y = oy * p->window.stride_h - p->window.pad_top;
        int32_t left = ox * p->window.stride_w - p->window.pad_left;
        int32_t bottom = y + p->window.kernel_h < op->in.h ? y + p->window.kernel_h : op->in.h;
        int32_t right = left + p->window.kernel_w < op->in.w ? left + p->window.kernel_w : op->in.w;
        if (y < 0) y = 0;
        if (left < 0) left = 0;
        qc_fill(output, INT8_MIN, (size_t)channels);
        for (; y < bottom; y++)
          for (int32_t x = left; x < right; x++)
            take_larger(output, op->input + ((n * op->in.h + y) * op->in.w + x) * channels,
                        channels);
        if (p->act_min == INT8_MIN && p->act_max == INT8_MAX) continue;
        for (int32_t c = 0; c < channels; c++)
          output[c] = (int8_t)qc_clamp(output[c], p->act_min, p->act_max);
      }
}

/* AVERAGE_POOL_2D: NHWC int8. The mean over the window's cells inside the input, rounded half away
 * from zero (TFLite reference_integer_ops/pooling.h). */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

enum { QC_LANES = 8 };

/* Sums of up to QC_LANES neighbouring channels over a block of rows and columns. */
QC_HOT static void sum_block(const int8_t *input, int32_t row_step, int32_t step, int32_t rows,
                             int32_t columns, int32_t lanes, int32_t sums[QC_LANES]) {
  for (int32_t c = 0; c < QC_LANES; c++) sums[c] = 0;
  if (lanes < QC_LANES) {
    for (int32_t y = 0; y < rows; y++)
      for (int32_t x = 0; x < columns; x++)
        for (int32_t c = 0; c < lanes; c++) sums[c] += input[y * row_step + x * step + c];
    return;
  }
  int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
  for (int32_t y = 0; y < rows; y++, input += row_step) {
    const int8_t *cell = input;
    for (int32_t x = columns; x > 0; x--, cell += step) {
      s0 += cell[0], s1 += cell[1], s2 += cell[2], s3 += cell[3];
      s4 += cell[4], s5 += cell[5], s6 += cell[6], s7 += cell[7];
    }
  }
  sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
  sums[4] = s4, sums[5] = s5, sums[6] = s6, sums[7] = s7;
}

QC_INLINE int32_t mean(int32_t sum, int32_t count) {
  return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

void qc_average_pool_s8(const qc_pool_t *op) {
  const qc_pool_params_t *p = op->params;
  int32_t channels = op->in.c, row_step = op->in.w * channels;
  int8_t *output = op->output;
  for (int32_t n = 0; n < op->out.n; n++)
    for (int32_t oy = 0; oy < op->out.h; oy++)
      for (int32_t ox = 0; ox < op->out.w; ox++) {
        int32_t y = oy * p->window.stride_h - p->window.pad_top;
        int32_t x = ox * p->window.stride_w - p->window.pad_left;
        int32_t bottom = y + p->window.kernel_h < op->in.h ? y + p->window.kernel_h : op->in.h;
        int32_t right = x + p->window.kernel_w < op->in.w ? x + p->window.kernel_w : op->in.w;
        if (y < 0) y = 0;
        if (x < 0) x = 0;
        int32_t count = (bottom - y) * (right - x);
        const int8_t *input = op->input + ((n * op->in.h + y) * op->in.w + x) * channels;
        for (int32_t c = 0; c < channels; c += QC_LANES) {
          int32_t lanes = channels - c < QC_LANES ? channels - c : QC_LANES;
          int32_t sums[QC_LANES];
          sum_block(input + c, row_step, channels, bottom - y, right - x, lanes, sums);
          for (int32_t i = 0; i < lanes; i++)
            *output++ = (int8_t)qc_clamp(mean(sums[i], count), p->act_min, p->act_max);
        }
      }
}

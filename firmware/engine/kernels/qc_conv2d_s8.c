/* CONV_2D: input NHWC int8, weights BLOCK4X4 (qc_columns.h), output NHWC int8.
 *
 * Output pixels are taken a few at a time: their windows are gathered into columns, cells outside
 * the input hold the input's zero point (the biases contain -zero_point * sum of weights). A 1x1
 * window with stride 1 needs no gathering where the columns are read as int8. */
#include <stdbool.h>

#include "qc_columns.h"

typedef struct {
  int32_t n, y, x; /* output position */
} qc_pixel_t;

QC_INLINE void next_pixel(qc_pixel_t *at, const qc_dims_t *out) {
  if (++at->x < out->w) return;
  at->x = 0;
  if (++at->y < out->h) return;
  at->y = 0;
  at->n++;
}

/* One run of a window as int8 with its borders filled in; returns where it lies. `y` and `x` are
 * the input position of its first cell, `cells` its length in cells (inputs of all channels). */
static const int8_t *border_run(const qc_conv_t *op, const qc_pixel_t *at, int32_t y, int32_t x,
                                int32_t cells, int8_t *staging) {
  int32_t channels = op->in.c;
  int32_t first = x < 0 ? -x : 0;
  int32_t last = x + cells > op->in.w ? op->in.w - x : cells;
  int fill = op->params->input_zero_point;
  if (y < 0 || y >= op->in.h || first >= last) {
    qc_fill(staging, fill, (size_t)(cells * channels));
    return staging;
  }
  const int8_t *row = op->input + ((at->n * op->in.h + y) * op->in.w + x + first) * channels;
  qc_fill(staging, fill, (size_t)(first * channels));
  qc_copy(staging + first * channels, row, (size_t)((last - first) * channels));
  qc_fill(staging + last * channels, fill, (size_t)((cells - last) * channels));
  return staging;
}

#if QC_DSP

/* One run, widened; inputs behind its last full word meet zero weights. */
QC_INLINE uint8_t *widen_run(uint8_t *column, const int8_t *run, uint32_t length, uint32_t step) {
  column = qc_widen(column, run, length / 4, step);
  uint32_t rest = length & 3u;
  if (rest == 0) return column;
  uint32_t word = 0;
  qc_copy(&word, run + (length & ~3u), 1);
  if (rest > 1) word |= (uint32_t)(uint8_t)run[(length & ~3u) + 1] << 8;
  if (rest > 2) word |= (uint32_t)(uint8_t)run[(length & ~3u) + 2] << 16;
  qc_store32(column, qc_even16(word));
  qc_store32(column + 4, qc_odd16(word));
  return column + step;
}

#endif

/* Gathers the window of one output pixel into a column. */
static void gather(const qc_conv_t *op, const qc_pixel_t *at, uint8_t *column, uint32_t step,
                   int8_t *staging) {
  const qc_window_t *w = &op->params->window;
  int32_t y0 = at->y * w->stride_h - w->pad_top, x0 = at->x * w->stride_w - w->pad_left;
  int32_t cells = w->dilation_w == 1 ? w->kernel_w : 1;
  int32_t taps = w->dilation_w == 1 ? 1 : w->kernel_w;
  uint32_t length = qc_run_length(w, (uint32_t)op->in.c);
  for (int32_t i = 0; i < w->kernel_h; i++) {
    int32_t y = y0 + i * w->dilation_h;
    for (int32_t j = 0; j < taps; j++) {
      int32_t x = x0 + j * w->dilation_w;
      const int8_t *run;
      if (y >= 0 && y < op->in.h && x >= 0 && x + cells <= op->in.w)
        run = op->input + ((at->n * op->in.h + y) * op->in.w + x) * op->in.c;
      else
        run = border_run(op, at, y, x, cells, staging);
#if QC_DSP
      column = widen_run(column, run, length, step);
#else
      (void)step;
      qc_copy(column, run, length);
      qc_fill(column + length, 0, -length & 3u);
      column += qc_round_up(length, 4);
#endif
    }
  }
}

QC_HOT void qc_conv2d_s8(const qc_conv_t *op) {
  const qc_window_t *w = &op->params->window;
  uint32_t k = qc_column_length(w, (uint32_t)op->in.c);
  int32_t pixels = op->out.n * op->out.h * op->out.w;
  uint8_t *columns = op->scratch;
  int8_t *staging = (int8_t *)columns + 2u * k * (pixels > 1 ? 2u : 1u);
  qc_pixel_t at = {0, 0, 0};
#if !QC_DSP
  bool direct = w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1 &&
                op->in.c % 4 == 0 && op->in.h == op->out.h && op->in.w == op->out.w &&
                w->pad_top == 0 && w->pad_left == 0;
#endif
  for (int32_t p = 0; p < pixels; p += QC_COLUMNS) {
    int32_t count = pixels - p < QC_COLUMNS ? pixels - p : QC_COLUMNS;
    int8_t *output = op->output + p * op->out.c;
#if QC_DSP
    for (int32_t i = 0; i < count; i++, next_pixel(&at, &op->out))
      gather(op, &at, columns + 8 * i, count > 1 ? 16 : 8, staging);
    qc_columns_multiply(op, columns, k, count, output);
#else
    const int8_t *column[QC_COLUMNS];
    for (int32_t i = 0; i < count; i++, next_pixel(&at, &op->out)) {
      if (direct) {
        column[i] = op->input + (p + i) * op->in.c;
      } else {
        gather(op, &at, columns + (uint32_t)i * k, 0, staging);
        column[i] = (const int8_t *)columns + (uint32_t)i * k;
      }
    }
    qc_columns_multiply(op, column, k, count, output);
#endif
  }
}

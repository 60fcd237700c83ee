/* CONV_2D: input NHWC int8, weights BLOCK4X4 or PAIRED4X4 (qc_columns.h), output NHWC int8.
 *
 * Output pixels are taken a few at a time: their windows are gathered into columns, cells outside
 * the input hold the input's zero point (the biases contain -zero_point * sum of weights). A 1x1
 * window with stride 1 needs no gathering where the columns are read as int8. */
#include <stdbool.h>

#include "qc_columns.h"

typedef struct {
  int32_t n, y, x; /* output position */
} qc_pixel_t;

/* How the windows of one operator are made of runs (qc_image.h). */
typedef struct {
  const qc_conv_t *op;
  uint32_t length; /* bytes of a run */
  int32_t cells;   /* input cells of a run */
  int32_t taps;    /* runs per kernel row */
  int32_t pitch;   /* bytes from one input row to the next */
  int8_t *staging; /* room for one run */
} qc_gather_t;

QC_INLINE void next_pixel(qc_pixel_t *at, const qc_dims_t *out) {
  if (++at->x < out->w) return;
  at->x = 0;
  if (++at->y < out->h) return;
  at->y = 0;
  at->n++;
}

/* Appends one run to a column, which may be one of two widened ones. */
QC_INLINE uint8_t *append(uint8_t *column, const int8_t *run, uint32_t length, bool widened) {
#if QC_DSP
  if (widened) return qc_widen_run(column, run, length);
#else
  (void)widened;
#endif
  qc_copy_run((int8_t *)column, run, length);
  column += length;
  for (uint32_t rest = -length & 3u; rest > 0; rest--) *column++ = 0;
  return column;
}

/* A run that leaves the input on the left or right: its part inside, the rest filled in. */
static const int8_t *border_run(const qc_gather_t *g, const int8_t *row, int32_t x) {
  int32_t channels = g->op->in.c, width = g->op->in.w;
  int32_t first = x < 0 ? -x : 0, last = x + g->cells > width ? width - x : g->cells;
  int8_t fill = (int8_t)g->op->params->input_zero_point;
  if (first > g->cells) first = g->cells;
  if (last < first) last = first;
  int8_t *to = g->staging;
  for (int32_t i = first * channels; i > 0; i--) *to++ = fill;
  uint32_t inside = (uint32_t)((last - first) * channels);
  if (inside > 0) qc_copy_run(to, row + (x + first) * channels, inside);
  to += inside;
  for (int32_t i = (g->cells - last) * channels; i > 0; i--) *to++ = fill;
  return g->staging;
}

/* Gathers a window that touches the border. (y0, x0) is the input position of its first cell. */
static void gather_border(const qc_gather_t *g, int32_t n, int32_t y0, int32_t x0, uint8_t *column,
                          bool widened) {
  const qc_conv_t *op = g->op;
  const qc_window_t *w = &op->params->window;
  for (int32_t i = 0; i < w->kernel_h; i++) {
    int32_t y = y0 + i * w->dilation_h, x = x0;
    for (int32_t j = 0; j < g->taps; j++, x += w->dilation_w) {
      const int8_t *run;
      if (y < 0 || y >= op->in.h) {
        run = border_run(g, op->input, op->in.w);
      } else {
        const int8_t *row = op->input + (n * op->in.h + y) * g->pitch;
        bool inside = x >= 0 && x + g->cells <= op->in.w;
        run = inside ? row + x * op->in.c : border_run(g, row, x);
      }
      column = append(column, run, g->length, widened);
    }
  }
}

QC_HOT static void gather(const qc_gather_t *g, const qc_pixel_t *at, uint8_t *column,
                          bool widened) {
  const qc_conv_t *op = g->op;
  const qc_window_t *w = &op->params->window;
  int32_t y0 = at->y * w->stride_h - w->pad_top, x0 = at->x * w->stride_w - w->pad_left;
  if (y0 < 0 || y0 + (w->kernel_h - 1) * w->dilation_h >= op->in.h || x0 < 0 ||
      x0 + (w->kernel_w - 1) * w->dilation_w >= op->in.w) {
    gather_border(g, at->n, y0, x0, column, widened);
    return;
  }
  const int8_t *row = op->input + (at->n * op->in.h + y0) * g->pitch + x0 * op->in.c;
  for (int32_t i = 0; i < w->kernel_h; i++) {
    const int8_t *run = row + i * w->dilation_h * g->pitch;
    for (int32_t j = 0; j < g->taps; j++)
      column = append(column, run + j * w->dilation_w * op->in.c, g->length, widened);
  }
}

/* Whether columns are the input's pixels themselves. */
static bool is_direct(const qc_conv_t *op) {
  const qc_window_t *w = &op->params->window;
  return w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1 &&
         w->pad_top == 0 && w->pad_left == 0 && op->in.h == op->out.h && op->in.w == op->out.w &&
         op->in.c % 4 == 0;
}

#if QC_DSP
/* Two columns that lie one behind the other in the input; k is a multiple of 4. */
QC_INLINE void widen_two(uint8_t *columns, const int8_t *input, uint32_t k) {
  for (const int8_t *end = input + k; input != end; input += 4, columns += 16) {
    uint32_t first = qc_load32(input), second = qc_load32(input + k);
    qc_store32(columns, qc_even16(first)), qc_store32(columns + 4, qc_odd16(first));
    qc_store32(columns + 8, qc_even16(second)), qc_store32(columns + 12, qc_odd16(second));
  }
}
#endif

/* Its own function: beside a copy of `op` gcc finds too few registers on RISC-V. */
QC_HOT __attribute__((noinline)) static void convolve(const qc_conv_t *op) {
  const qc_window_t *w = &op->params->window;
  uint32_t k = qc_column_length(w, (uint32_t)op->in.c);
  int32_t pixels = op->out.n * op->out.h * op->out.w;
  uint8_t *columns = op->scratch;
  qc_gather_t g = {.op = op,
                   .length = qc_run_length(w, (uint32_t)op->in.c),
                   .cells = w->dilation_w == 1 ? w->kernel_w : 1,
                   .taps = w->dilation_w == 1 ? 1 : w->kernel_w,
                   .pitch = op->in.w * op->in.c,
                   .staging = (int8_t *)columns + 2u * k * (pixels > 1 ? 2u : 1u)};
  qc_pixel_t at = {0, 0, 0};
  int8_t *output = op->output;
  bool direct = is_direct(op);
  const int8_t *input = op->input;
#if QC_DSP
  for (; pixels > 1; pixels -= 2, output += 2 * op->out.c) {
    if (direct) {
      widen_two(columns, input, k);
      input += 2 * k;
    } else {
      for (int32_t i = 0; i < 2; i++, next_pixel(&at, &op->out))
        gather(&g, &at, columns + 8 * i, true);
    }
    qc_columns_multiply_2(op, columns, k, output);
  }
  if (pixels > 0) {
    if (!direct) gather(&g, &at, columns, false);
    qc_columns_multiply_1(op, direct ? input : (const int8_t *)columns, k, output);
  }
#else
  for (; pixels > 0; pixels -= QC_COLUMNS, output += QC_COLUMNS * op->out.c) {
    int32_t count = pixels < QC_COLUMNS ? pixels : QC_COLUMNS;
    const int8_t *column[QC_COLUMNS];
    for (int32_t i = 0; i < count; i++) {
      if (direct) {
        column[i] = input;
        input += op->in.c;
      } else {
        gather(&g, &at, columns + (uint32_t)i * k, false);
        column[i] = (const int8_t *)columns + (uint32_t)i * k;
        next_pixel(&at, &op->out);
      }
    }
    qc_columns_multiply(op, column, k, count, output);
  }
#endif
}

/* Copies what is read with every few pixels into RAM: from flash, each line would be waited for. */
static void stage(qc_conv_t *op, uint8_t *to) {
  uint32_t bytes = op->params->weights_bytes;
  qc_copy(to, op->weights, bytes);
  qc_copy(to + bytes, op->channels, op->params->channels * sizeof(qc_channel_t));
  op->weights = (const int8_t *)to;
  op->channels = (const void *)(to + bytes);
}

void qc_conv2d_s8(const qc_conv_t *op) {
  qc_conv_t copy = *op;
  const qc_window_t *w = &op->params->window;
  uint32_t depth = (uint32_t)op->in.c, pixels = (uint32_t)(op->out.n * op->out.h * op->out.w);
  uint32_t columns = qc_column_scratch(qc_column_length(w, depth), qc_run_length(w, depth), pixels);
  if (op->params->flags & QC_CONV_STAGED) stage(&copy, (uint8_t *)op->scratch + columns);
  convolve(&copy);
}

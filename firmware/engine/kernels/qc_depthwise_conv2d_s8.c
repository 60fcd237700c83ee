/* DEPTHWISE_CONV_2D: input NHWC int8, weights as planes [output channel][kernel h][kernel w],
 * output NHWC int8; output channel = input channel * depth_multiplier + m.
 *
 * Four input channels at a time are unfolded into planes: a ring of as many rows as the window
 * covers, borders filled with the input's zero point. A channel's row is then a plain array, so
 * that neighbouring inputs sit in one word and a window costs a handful of instructions. */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

#if QC_DSP
typedef int16_t qc_cell_t;
#else
typedef int8_t qc_cell_t;
#endif

enum { QC_GROUP = QC_DEPTHWISE_GROUP };

/* The planes of a group of channels, and what the group's outputs are made with. */
typedef struct {
  const qc_conv_t *op;
  qc_cell_t *ring; /* [rows][QC_GROUP][width] */
  int32_t rows, width;
  int32_t lanes;                         /* channels of this group */
  const int8_t *weights[QC_GROUP];       /* of the lane's output channel */
  const qc_channel_t *channel[QC_GROUP]; /* its record */
#if QC_DSP
  uint32_t pairs[QC_GROUP][9]; /* its 3x3 weights: (w0, w1), (w2, w0), (w1, w2) per kernel row */
#endif
} qc_planes_t;

QC_INLINE qc_cell_t *plane_row(const qc_planes_t *planes, int32_t slot, int32_t lane) {
  return planes->ring + (slot * QC_GROUP + lane) * planes->width;
}

QC_INLINE void fill(qc_cell_t *cell, int32_t count, int32_t value) {
  for (; count > 0; count--) *cell++ = (qc_cell_t)value;
}

/* Unfolds `count` cells of an input row, `channels` bytes apart, into the rows at `plane`. */
QC_HOT static void unfold(const qc_planes_t *planes, const int8_t *input, qc_cell_t *plane,
                          int32_t count) {
  int32_t channels = planes->op->in.c, width = planes->width;
#if QC_DSP
  if (planes->lanes == QC_GROUP) {
    qc_cell_t *a = plane, *b = a + width, *c = b + width, *d = c + width;
    for (; count > 1; count -= 2) {
      uint32_t left = qc_load32(input), right = qc_load32(input + channels);
      input += 2 * channels;
      uint32_t left_even = qc_even16(left), right_even = qc_even16(right);
      uint32_t left_odd = qc_odd16(left), right_odd = qc_odd16(right);
      qc_store32(a, qc_bottoms(left_even, right_even)), a += 2;
      qc_store32(b, qc_bottoms(left_odd, right_odd)), b += 2;
      qc_store32(c, qc_tops(left_even, right_even)), c += 2;
      qc_store32(d, qc_tops(left_odd, right_odd)), d += 2;
    }
    if (count > 0) *a = input[0], *b = input[1], *c = input[2], *d = input[3];
    return;
  }
#else
  if (planes->lanes == QC_GROUP) {
    qc_cell_t *a = plane, *b = a + width, *c = b + width, *d = c + width;
    for (; count > 0; count--, input += channels)
      *a++ = input[0], *b++ = input[1], *c++ = input[2], *d++ = input[3];
    return;
  }
#endif
  for (int32_t lane = 0; lane < planes->lanes; lane++) {
    const int8_t *cell = input + lane;
    for (int32_t i = 0; i < count; i++, cell += channels) plane[lane * width + i] = *cell;
  }
}

/* Brings input row y of the channels from c0 on into one slot of the ring. */
static void fill_slot(const qc_planes_t *planes, int32_t slot, int32_t n, int32_t y, int32_t c0) {
  const qc_conv_t *op = planes->op;
  int32_t left = op->params->window.pad_left;
  int32_t inside = planes->width - left; /* cells that hold inputs; the others stay filled */
  if (inside > op->in.w) inside = op->in.w;
  if (inside <= 0) return;
  qc_cell_t *plane = plane_row(planes, slot, 0) + left;
  if (y >= 0 && y < op->in.h) {
    unfold(planes, op->input + ((n * op->in.h + y) * op->in.w) * op->in.c + c0, plane, inside);
    return;
  }
  for (int32_t lane = 0; lane < planes->lanes; lane++)
    fill(plane + lane * planes->width, inside, op->params->input_zero_point);
}

/* Any window: output row whose first kernel row reads slot `top`. */
static void row_any(const qc_planes_t *planes, int32_t top, int32_t lane, int8_t *output) {
  const qc_conv_params_t *p = planes->op->params;
  const qc_channel_t *channel = planes->channel[lane];
  const qc_window_t *w = &p->window;
  for (int32_t i = 0; i < planes->op->out.w; i++, output += planes->op->out.c) {
    const int8_t *weight = planes->weights[lane];
    int32_t sum = channel->bias, slot = top;
    for (int32_t ky = 0; ky < w->kernel_h; ky++) {
      const qc_cell_t *cell = plane_row(planes, slot, lane) + i * w->stride_w;
      for (int32_t kx = 0; kx < w->kernel_w; kx++, cell += w->dilation_w)
        sum = qc_mac(sum, *weight++, *cell);
      slot += w->dilation_h;
      if (slot >= planes->rows) slot -= planes->rows;
    }
    int32_t y = qc_requantize(sum, channel->multiplier, channel->shift) + p->output_zero_point;
    *output = (int8_t)qc_clamp(y, p->act_min, p->act_max);
  }
}

/* 3x3 windows without dilation, fast requantization: two neighbouring outputs share what they
 * read. An odd last one computes its neighbour from filled cells and drops it. */
QC_INLINE void row_3x3(const qc_planes_t *planes, int32_t top, int32_t lane, int8_t *output,
                       int32_t stride) {
  const qc_conv_params_t *p = planes->op->params;
  const qc_channel_t *channel = planes->channel[lane];
  int32_t middle = top == 2 ? 0 : top + 1, bottom = middle == 2 ? 0 : middle + 1;
  const qc_cell_t *r0 = plane_row(planes, top, lane);
  const qc_cell_t *r1 = plane_row(planes, middle, lane);
  const qc_cell_t *r2 = plane_row(planes, bottom, lane);
  int32_t bias = channel->bias, multiplier = channel->multiplier, offset = channel->offset;
  int32_t shift = channel->shift, low = p->act_min, high = p->act_max;
  int32_t step = planes->op->out.c;
#if QC_DSP
  const uint32_t *weights = planes->pairs[lane];
#define QC_TAPS(r, i)                                                                              \
  {                                                                                                \
    uint32_t first = weights[3 * (i)], ends = weights[3 * (i) + 1], x0, x1;                        \
    QC_LOAD_PAIR_AT(x0, x1, r, 0);                                                                 \
    s0 = qc_smlabb(ends, x1, qc_smlad(first, x0, s0));                                             \
    if (stride == 1) {                                                                             \
      s1 = qc_smlad(weights[3 * (i) + 2], x1, qc_smlatt(ends, x0, s1)), r += 2;                    \
    } else {                                                                                       \
      s1 = qc_smlabb(ends, qc_load32(r + 4), qc_smlad(first, x1, s1)), r += 4;                     \
    }                                                                                              \
  }
#else
  const int8_t *w = planes->weights[lane];
  int32_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5];
  int32_t w6 = w[6], w7 = w[7], w8 = w[8];
#define QC_TAPS(r, i)                                                                              \
  {                                                                                                \
    int32_t a = (i) == 0 ? w0 : (i) == 1 ? w3 : w6, b = (i) == 0 ? w1 : (i) == 1 ? w4 : w7;        \
    int32_t c = (i) == 0 ? w2 : (i) == 1 ? w5 : w8;                                                \
    int32_t x0 = r[0], x1 = r[1], x2 = r[2], x3 = r[3];                                            \
    s0 = qc_mac(s0, a, x0), s0 = qc_mac(s0, b, x1), s0 = qc_mac(s0, c, x2);                        \
    if (stride == 1) {                                                                             \
      s1 = qc_mac(s1, a, x1), s1 = qc_mac(s1, b, x2), s1 = qc_mac(s1, c, x3), r += 2;              \
    } else {                                                                                       \
      s1 = qc_mac(s1, a, x2), s1 = qc_mac(s1, b, x3), s1 = qc_mac(s1, c, r[4]), r += 4;            \
    }                                                                                              \
  }
#endif
  for (int32_t left = planes->op->out.w; left > 0; left -= 2) {
    int32_t s0 = bias, s1 = bias;
    QC_TAPS(r0, 0)
    QC_TAPS(r1, 1)
    QC_TAPS(r2, 2)
    s0 = qc_requantize_fast(s0, multiplier, offset, shift);
    *output = (int8_t)qc_clamp(s0, low, high);
    output += step;
    if (left == 1) break;
    s1 = qc_requantize_fast(s1, multiplier, offset, shift);
    *output = (int8_t)qc_clamp(s1, low, high);
    output += step;
  }
#undef QC_TAPS
}

QC_HOT QC_TILE static void row_3x3_stride1(const qc_planes_t *planes, int32_t top, int8_t *output) {
  int32_t step = (int32_t)planes->op->params->depth_multiplier;
  for (int32_t lane = 0; lane < planes->lanes; lane++, output += step)
    row_3x3(planes, top, lane, output, 1);
}

QC_HOT QC_TILE static void row_3x3_stride2(const qc_planes_t *planes, int32_t top, int8_t *output) {
  int32_t step = (int32_t)planes->op->params->depth_multiplier;
  for (int32_t lane = 0; lane < planes->lanes; lane++, output += step)
    row_3x3(planes, top, lane, output, 2);
}

static void rows_any(const qc_planes_t *planes, int32_t top, int8_t *output) {
  int32_t step = (int32_t)planes->op->params->depth_multiplier;
  for (int32_t lane = 0; lane < planes->lanes; lane++, output += step)
    row_any(planes, top, lane, output);
}

typedef void (*qc_row_kernel_t)(const qc_planes_t *planes, int32_t top, int8_t *output);

static qc_row_kernel_t kernel_for(const qc_conv_params_t *p) {
  const qc_window_t *w = &p->window;
  if (w->kernel_h != 3 || w->kernel_w != 3 || w->dilation_h != 1 || w->dilation_w != 1 ||
      !(p->flags & QC_CONV_FAST))
    return rows_any;
  return w->stride_w == 1 ? row_3x3_stride1 : w->stride_w == 2 ? row_3x3_stride2 : rows_any;
}

/* Finds the weights of the group that starts at input channel c0, m-th output of each. */
static void select_outputs(qc_planes_t *planes, int32_t c0, int32_t m) {
  const qc_conv_t *op = planes->op;
  int32_t multiplier = (int32_t)op->params->depth_multiplier;
  int32_t taps = (int32_t)op->params->window.kernel_h * op->params->window.kernel_w;
  planes->lanes = op->in.c - c0 < QC_GROUP ? op->in.c - c0 : QC_GROUP;
  for (int32_t lane = 0; lane < planes->lanes; lane++) {
    int32_t c = (c0 + lane) * multiplier + m;
    const int8_t *w = op->weights + c * taps;
    planes->weights[lane] = w;
    planes->channel[lane] = op->channels + c;
#if QC_DSP
    for (int32_t i = 0; i < 9 && taps == 9; i += 3, w += 3) {
      planes->pairs[lane][i] = qc_pair(w[0], w[1]);
      planes->pairs[lane][i + 1] = qc_pair(w[2], w[0]);
      planes->pairs[lane][i + 2] = qc_pair(w[1], w[2]);
    }
#endif
  }
}

/* All rows of one group in one batch. `output` is the group's first output. */
QC_HOT static void group_outputs(const qc_planes_t *planes, qc_row_kernel_t kernel, int32_t n,
                                 int32_t c0, int8_t *output) {
  const qc_conv_t *op = planes->op;
  const qc_window_t *w = &op->params->window;
  int32_t rows = planes->rows, top = 0;        /* the slot of the window's first row */
  int32_t next = -(int32_t)w->pad_top, to = 0; /* the next row to bring in, and its slot */
  for (int32_t oy = 0; oy < op->out.h; oy++, output += op->out.w * op->out.c) {
    int32_t y0 = oy * w->stride_h - w->pad_top;
    if (next < y0) next = y0, to = top; /* rows between two windows */
    for (; next < y0 + rows; next++) {
      fill_slot(planes, to, n, next, c0);
      to = to + 1 == rows ? 0 : to + 1;
    }
    kernel(planes, top, output);
    top = (top + w->stride_h) % rows;
  }
}

QC_HOT void qc_depthwise_conv2d_s8(const qc_conv_t *op) {
  const qc_window_t *w = &op->params->window;
  qc_planes_t planes = {.op = op,
                        .ring = op->scratch,
                        .rows = (int32_t)qc_plane_rows(w),
                        .width = (int32_t)qc_plane_width(w, (uint32_t)op->out.w)};
  qc_row_kernel_t kernel = kernel_for(op->params);
  int32_t multiplier = (int32_t)op->params->depth_multiplier;
  fill(planes.ring, planes.rows * QC_GROUP * planes.width, op->params->input_zero_point);
  for (int32_t n = 0; n < op->out.n; n++)
    for (int32_t c0 = 0; c0 < op->in.c; c0 += QC_GROUP)
      for (int32_t m = 0; m < multiplier; m++) {
        select_outputs(&planes, c0, m);
        int8_t *output = op->output + n * op->out.h * op->out.w * op->out.c + c0 * multiplier + m;
        group_outputs(&planes, kernel, n, c0, output);
      }
}

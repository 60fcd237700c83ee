/* DEPTHWISE_CONV_2D: input NHWC int8, weights as planes [output channel][kernel h][kernel w],
 * output NHWC int8; output channel = input channel * depth_multiplier + m.
 *
 * Four input channels at a time are copied into a ring of as many rows as the window covers,
 * [rows][width][4], borders filled with the input's zero point: neither borders nor distances
 * between channels concern the inner loops. Packed arithmetic takes the four channels of a cell
 * together, widened to int16 as (c0, c2), (c1, c3); of fast operators it takes the doubled weights
 * and biases, which saves the requantization a step. */
#include <stdbool.h>

#include "qc_fixed_point.h"
#include "qc_kernels.h"

#if QC_DSP
typedef int16_t qc_cell_t;
#else
typedef int8_t qc_cell_t;
#endif

enum { QC_GROUP = QC_DEPTHWISE_GROUP };

/* A group of channels: its ring, and what its outputs are made with. */
typedef struct {
  const qc_conv_t *op;
  qc_cell_t *ring;    /* [rows][width][QC_GROUP] */
  qc_cell_t *weights; /* [kernel h][kernel w][QC_GROUP], in the order of a cell */
  int32_t rows, width;
  int32_t inside; /* cells of a row that hold inputs; the others stay filled */
  int32_t lanes;  /* channels of this group */
  int32_t bias[QC_GROUP];
  struct {
    int32_t multiplier, offset;
  } rule[QC_GROUP];
  int32_t right[QC_GROUP]; /* -shift */
} qc_group_t;

/* Where a lane's value lies in a cell. */
QC_INLINE int32_t place_of(int32_t lane) {
#if QC_DSP
  return (lane & 1) << 1 | lane >> 1;
#else
  return lane;
#endif
}

QC_INLINE qc_cell_t *row_of(const qc_group_t *group, int32_t slot) {
  return group->ring + slot * group->width * QC_GROUP;
}

/* Copies `count` cells of an input row, `channels` bytes apart. */
QC_HOT static void copy_cells(qc_cell_t *cell, const int8_t *input, int32_t channels,
                              int32_t count) {
#if QC_DSP
  for (; count > 0; count--, input += channels) {
    uint32_t word = qc_load32(input);
    QC_STORE_PAIR(qc_even16(word), qc_odd16(word), cell, 8);
  }
#else
  if (((uintptr_t)input | (uintptr_t)channels) % 4 == 0) {
    for (; count > 0; count--, input += channels, cell += QC_GROUP)
      qc_copy(__builtin_assume_aligned(cell, 4), __builtin_assume_aligned(input, 4), QC_GROUP);
    return;
  }
  for (; count > 0; count--, input += channels, cell += QC_GROUP)
    cell[0] = input[0], cell[1] = input[1], cell[2] = input[2], cell[3] = input[3];
#endif
}

/* The same with fewer lanes than a group has. */
static void copy_lanes(qc_cell_t *cell, const int8_t *input, int32_t channels, int32_t count,
                       int32_t lanes) {
  for (; count > 0; count--, input += channels, cell += QC_GROUP)
    for (int32_t lane = 0; lane < lanes; lane++) cell[place_of(lane)] = input[lane];
}

static void fill(qc_cell_t *cell, int32_t count, int32_t value) {
#if QC_DSP
  uint32_t words[2] = {qc_pair(value, value), qc_pair(value, value)};
#else
  uint32_t words[1] = {(uint8_t)value * 0x01010101u};
#endif
  for (; count > 0; count--, cell += QC_GROUP)
    qc_copy(__builtin_assume_aligned(cell, 4), words, sizeof words);
}

/* Brings input row y of the channels from c0 on into one slot of the ring. */
static void fill_slot(const qc_group_t *group, int32_t slot, int32_t n, int32_t y, int32_t c0) {
  const qc_conv_t *op = group->op;
  int32_t channels = op->in.c;
  if (group->inside <= 0) return;
  qc_cell_t *cell = row_of(group, slot) + op->params->window.pad_left * QC_GROUP;
  if (y < 0 || y >= op->in.h) {
    fill(cell, group->inside, op->params->input_zero_point);
    return;
  }
  const int8_t *input = op->input + (n * op->in.h + y) * op->in.w * channels + c0;
  if (group->lanes == QC_GROUP)
    copy_cells(cell, input, channels, group->inside);
  else
    copy_lanes(cell, input, channels, group->inside, group->lanes);
}

static int8_t finish(const qc_group_t *group, int32_t lane, int32_t sum) {
  const qc_conv_params_t *p = group->op->params;
  int32_t y = qc_requantize(sum, group->rule[lane].multiplier, -group->right[lane]);
  return (int8_t)qc_clamp(qc_add_zero_point(y, p->output_zero_point), p->act_min, p->act_max);
}

#if !QC_DSP

/* Any window: one row of outputs of one lane, whose first kernel row is slot `top`. */
static void lane_any(const qc_group_t *group, int32_t top, int32_t lane, int8_t *output) {
  const qc_window_t *w = &group->op->params->window;
  for (int32_t i = 0; i < group->op->out.w; i++, output += group->op->out.c) {
    const qc_cell_t *weight = group->weights + lane;
    int32_t sum = group->bias[lane], slot = top;
    for (int32_t ky = w->kernel_h; ky > 0; ky--) {
      const qc_cell_t *cell = row_of(group, slot) + i * w->stride_w * QC_GROUP + lane;
      for (int32_t kx = w->kernel_w; kx > 0; kx--) {
        sum = qc_mac(sum, *weight, *cell);
        weight += QC_GROUP, cell += w->dilation_w * QC_GROUP;
      }
      slot += w->dilation_h;
      if (slot >= group->rows) slot -= group->rows;
    }
    *output = finish(group, lane, sum);
  }
}

/* 3x3 windows without dilation, fast requantization: two neighbouring outputs share what they
 * read. An odd last one computes its neighbour from what lies behind and drops it. */
QC_INLINE void lane_3x3(const qc_group_t *group, int32_t top, int32_t lane, int8_t *output,
                        int32_t stride) {
  const qc_conv_params_t *p = group->op->params;
  int32_t middle = top == 2 ? 0 : top + 1, bottom = middle == 2 ? 0 : middle + 1;
  const int8_t *r0 = row_of(group, top) + lane;
  const int8_t *r1 = row_of(group, middle) + lane;
  const int8_t *r2 = row_of(group, bottom) + lane;
  int32_t multiplier = group->rule[lane].multiplier, offset = group->rule[lane].offset;
  int32_t bias = group->bias[lane], right = group->right[lane];
  int32_t low = p->act_min, high = p->act_max;
  int32_t step = group->op->out.c;
  const int8_t *w = group->weights + lane;
  int32_t w0 = w[0], w1 = w[4], w2 = w[8], w3 = w[12], w4 = w[16], w5 = w[20];
  int32_t w6 = w[24], w7 = w[28], w8 = w[32];
#define QC_TAPS(r, a, b, c)                                                                        \
  {                                                                                                \
    int32_t x0 = r[0], x1 = r[4], x2 = r[8], x3 = r[12];                                           \
    s0 = qc_mac(s0, a, x0), s0 = qc_mac(s0, b, x1), s0 = qc_mac(s0, c, x2);                        \
    if (stride == 1) {                                                                             \
      s1 = qc_mac(s1, a, x1), s1 = qc_mac(s1, b, x2), s1 = qc_mac(s1, c, x3), r += 8;              \
    } else {                                                                                       \
      s1 = qc_mac(s1, a, x2), s1 = qc_mac(s1, b, x3), s1 = qc_mac(s1, c, r[16]), r += 16;          \
    }                                                                                              \
  }
  for (int32_t left = group->op->out.w; left > 0; left -= 2) {
    int32_t s0 = bias, s1 = bias;
    QC_TAPS(r0, w0, w1, w2)
    QC_TAPS(r1, w3, w4, w5)
    QC_TAPS(r2, w6, w7, w8)
    s0 = qc_requantize_doubled(s0 * 2, multiplier, offset, right);
    *output = (int8_t)qc_clamp(s0, low, high);
    output += step;
    if (left == 1) break;
    s1 = qc_requantize_doubled(s1 * 2, multiplier, offset, right);
    *output = (int8_t)qc_clamp(s1, low, high);
    output += step;
  }
#undef QC_TAPS
}

QC_HOT QC_TILE static void row_3x3_stride1(const qc_group_t *group, int32_t top, int8_t *output) {
  int32_t step = (int32_t)group->op->params->depth_multiplier;
  for (int32_t lane = 0; lane < group->lanes; lane++, output += step)
    lane_3x3(group, top, lane, output, 1);
}

QC_HOT QC_TILE static void row_3x3_stride2(const qc_group_t *group, int32_t top, int8_t *output) {
  int32_t step = (int32_t)group->op->params->depth_multiplier;
  for (int32_t lane = 0; lane < group->lanes; lane++, output += step)
    lane_3x3(group, top, lane, output, 2);
}

static void row_any(const qc_group_t *group, int32_t top, int8_t *output) {
  int32_t step = (int32_t)group->op->params->depth_multiplier;
  for (int32_t lane = 0; lane < group->lanes; lane++, output += step)
    lane_any(group, top, lane, output);
}

#else

/* Four channels of one cell times their weights, 6 instructions. */
#define QC_TAP(weights, i, cell, j)                                                                \
  {                                                                                                \
    uint32_t w0, w1, x0, x1;                                                                       \
    QC_LOAD_PAIR_AT(w0, w1, weights, 8 * (i));                                                     \
    QC_LOAD_PAIR_AT(x0, x1, cell, 8 * (j));                                                        \
    s0 = qc_smlabb(w0, x0, s0), s2 = qc_smlatt(w0, x0, s2);                                        \
    s1 = qc_smlabb(w1, x1, s1), s3 = qc_smlatt(w1, x1, s3);                                        \
  }

/* Requantizes a sum of doubled products, without the activation's clamp. */
QC_INLINE int32_t finish_fast(const qc_group_t *group, int32_t lane, int32_t sum) {
  int32_t multiplier, offset;
  QC_LOAD_PAIR_AT(multiplier, offset, &group->rule[lane], 0);
  return qc_saturate8(qc_requantize_doubled(sum, multiplier, offset, group->right[lane]));
}

/* Any window: one row of outputs whose first kernel row is slot `top`. */
QC_HOT static void row_any(const qc_group_t *group, int32_t top, int8_t *output) {
  const qc_conv_params_t *p = group->op->params;
  const qc_window_t *w = &p->window;
  bool fast = p->flags & QC_CONV_FAST;
  int32_t step = (int32_t)p->depth_multiplier;
  for (int32_t i = 0; i < group->op->out.w; i++, output += group->op->out.c) {
    const qc_cell_t *weight = group->weights;
    int32_t s0 = group->bias[0], s1 = group->bias[1], slot = top;
    int32_t s2 = group->bias[2], s3 = group->bias[3];
    for (int32_t ky = w->kernel_h; ky > 0; ky--) {
      const qc_cell_t *cell = row_of(group, slot) + i * w->stride_w * QC_GROUP;
      for (int32_t kx = w->kernel_w; kx > 0; kx--) {
        QC_TAP(weight, 0, cell, 0)
        weight += QC_GROUP, cell += w->dilation_w * QC_GROUP;
      }
      slot += w->dilation_h;
      if (slot >= group->rows) slot -= group->rows;
    }
    const int32_t sums[QC_GROUP] = {s0, s1, s2, s3};
    for (int32_t lane = 0; lane < group->lanes; lane++) {
      if (fast)
        output[lane * step] =
            (int8_t)qc_clamp(finish_fast(group, lane, sums[lane]), p->act_min, p->act_max);
      else
        output[lane * step] = finish(group, lane, sums[lane]);
    }
  }
}

/* 3x3 windows without dilation, fast requantization, four neighbouring output channels. */
QC_HOT static void row_3x3(const qc_group_t *group, int32_t top, int8_t *output) {
  const qc_conv_params_t *p = group->op->params;
  int32_t middle = top == 2 ? 0 : top + 1, bottom = middle == 2 ? 0 : middle + 1;
  const qc_cell_t *r0 = row_of(group, top), *r1 = row_of(group, middle);
  const qc_cell_t *r2 = row_of(group, bottom), *weights = group->weights;
  int32_t stride = p->window.stride_w * QC_GROUP;
  bool narrow = p->act_min > INT8_MIN || p->act_max < INT8_MAX;
  for (int32_t left = group->op->out.w; left > 0; left--, output += group->op->out.c) {
    int32_t s0, s1, s2, s3;
    QC_LOAD_PAIR_AT(s0, s1, group->bias, 0);
    QC_LOAD_PAIR_AT(s2, s3, group->bias, 8);
    QC_TAP(weights, 0, r0, 0)
    QC_TAP(weights, 1, r0, 1)
    QC_TAP(weights, 2, r0, 2)
    QC_TAP(weights, 3, r1, 0)
    QC_TAP(weights, 4, r1, 1)
    QC_TAP(weights, 5, r1, 2)
    QC_TAP(weights, 6, r2, 0)
    QC_TAP(weights, 7, r2, 1)
    QC_TAP(weights, 8, r2, 2)
    s0 = finish_fast(group, 0, s0), s1 = finish_fast(group, 1, s1);
    s2 = finish_fast(group, 2, s2), s3 = finish_fast(group, 3, s3);
    if (narrow) {
      s0 = qc_clamp(s0, p->act_min, p->act_max), s1 = qc_clamp(s1, p->act_min, p->act_max);
      s2 = qc_clamp(s2, p->act_min, p->act_max), s3 = qc_clamp(s3, p->act_min, p->act_max);
    }
    output[0] = (int8_t)s0, output[1] = (int8_t)s1, output[2] = (int8_t)s2, output[3] = (int8_t)s3;
    r0 += stride, r1 += stride, r2 += stride;
  }
}

#endif

typedef void (*qc_row_kernel_t)(const qc_group_t *group, int32_t top, int8_t *output);

static qc_row_kernel_t kernel_for(const qc_group_t *group) {
  const qc_conv_params_t *p = group->op->params;
  const qc_window_t *w = &p->window;
  if (w->kernel_h != 3 || w->kernel_w != 3 || w->dilation_h != 1 || w->dilation_w != 1 ||
      !(p->flags & QC_CONV_FAST))
    return row_any;
#if QC_DSP
  return p->depth_multiplier == 1 && group->lanes == QC_GROUP ? row_3x3 : row_any;
#else
  return w->stride_w == 1 ? row_3x3_stride1 : w->stride_w == 2 ? row_3x3_stride2 : row_any;
#endif
}

/* Brings weights and records of the group that starts at input channel c0, m-th output of each. */
static void select_outputs(qc_group_t *group, int32_t c0, int32_t m) {
  const qc_conv_t *op = group->op;
  int32_t multiplier = (int32_t)op->params->depth_multiplier;
  int32_t taps = (int32_t)op->params->window.kernel_h * op->params->window.kernel_w;
  int32_t factor = QC_DSP && (op->params->flags & QC_CONV_FAST) ? 2 : 1;
  group->lanes = op->in.c - c0 < QC_GROUP ? op->in.c - c0 : QC_GROUP;
  for (int32_t lane = 0; lane < group->lanes; lane++) {
    int32_t c = (c0 + lane) * multiplier + m;
    const int8_t *weight = op->weights + c * taps;
    qc_cell_t *to = group->weights + place_of(lane);
    for (int32_t i = taps; i > 0; i--, to += QC_GROUP) *to = (qc_cell_t)(*weight++ * factor);
    group->bias[lane] = op->channels[c].bias * factor;
    group->rule[lane].multiplier = op->channels[c].multiplier;
    group->rule[lane].offset = op->channels[c].offset;
    group->right[lane] = -op->channels[c].shift;
  }
}

/* All rows of one group in one batch. `output` is the group's first output. */
QC_HOT static void group_outputs(const qc_group_t *group, int32_t n, int32_t c0, int8_t *output) {
  const qc_conv_t *op = group->op;
  const qc_window_t *w = &op->params->window;
  qc_row_kernel_t kernel = kernel_for(group);
  int32_t rows = group->rows, top = 0;         /* the slot of the window's first row */
  int32_t next = -(int32_t)w->pad_top, to = 0; /* the next row to bring in, and its slot */
  for (int32_t oy = 0; oy < op->out.h; oy++, output += op->out.w * op->out.c) {
    int32_t y0 = oy * w->stride_h - w->pad_top;
    if (next < y0) next = y0, to = top; /* rows between two windows */
    for (; next < y0 + rows; next++) {
      fill_slot(group, to, n, next, c0);
      to = to + 1 == rows ? 0 : to + 1;
    }
    kernel(group, top, output);
    top = (top + w->stride_h) % rows;
  }
}

QC_HOT void qc_depthwise_conv2d_s8(const qc_conv_t *op) {
  const qc_window_t *w = &op->params->window;
  qc_group_t group = {.op = op,
                      .ring = op->scratch,
                      .rows = (int32_t)qc_plane_rows(w),
                      .width = (int32_t)qc_plane_width(w, (uint32_t)op->out.w)};
  int32_t cells = group.rows * group.width, multiplier = (int32_t)op->params->depth_multiplier;
  group.weights = group.ring + cells * QC_GROUP;
  group.inside = group.width - w->pad_left < op->in.w ? group.width - w->pad_left : op->in.w;
  fill(group.ring, cells, op->params->input_zero_point);
  for (int32_t n = 0; n < op->out.n; n++)
    for (int32_t c0 = 0; c0 < op->in.c; c0 += QC_GROUP)
      for (int32_t m = 0; m < multiplier; m++) {
        select_outputs(&group, c0, m);
        int8_t *output = op->output + n * op->out.h * op->out.w * op->out.c + c0 * multiplier + m;
        group_outputs(&group, n, c0, output);
      }
}

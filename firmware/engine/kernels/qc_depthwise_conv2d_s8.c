/* DEPTHWISE_CONV_2D: input NHWC int8, weights as planes [output channel][kernel h][kernel w],
 * output NHWC int8; output channel = input channel * depth_multiplier + m.
 *
 * Four input channels at a time are copied into a ring of as many rows as the window covers,
 * [rows][width][4], borders filled with the input's zero point: neither borders nor distances
 * between channels concern the inner loops. Packed arithmetic takes the four channels of a cell
 * together, widened to int16 as (c0, c2), (c1, c3); of fast operators it takes the doubled weights
 * and biases, which saves the requantization a step.
 *
 * Fast 3x3 windows with strides of 1 or 2 take one channel, two neighbouring cells and two outputs
 * at a time. Their ring lies the other way round: per two cells the three rows, in each the four
 * channels, a word of two cells for each. So every row of outputs reads at the same addresses, and
 * the weights take turns instead. */
#include <stdbool.h>

#include "qc_fixed_point.h"
#include "qc_kernels.h"

#if QC_DSP
typedef int16_t qc_cell_t;
#else
typedef int8_t qc_cell_t;
#endif

enum { QC_GROUP = QC_DEPTHWISE_GROUP };

/* One output channel of a group. */
typedef struct {
  int32_t bias, multiplier, offset, right; /* right: -shift */
#if QC_DSP
  const uint8_t *start, *end; /* in a ring of pairs, for all whole pairs of outputs */
  int32_t step;
  uint32_t pairs[5][2]; /* weights of 3x3: rows 0, 1, 2, 0, 1 */
#endif
} qc_lane_t;

/* A group of channels: its ring, and what its outputs are made with. */
typedef struct {
  const qc_conv_t *op;
  qc_cell_t *ring;    /* [rows][width][QC_GROUP] */
  qc_cell_t *weights; /* [kernel h][kernel w][QC_GROUP], in the order of a cell */
  int32_t rows, width;
  int32_t inside; /* cells of a row that hold inputs; the others stay filled */
  int32_t lanes;  /* channels of this group */
#if QC_DSP
  bool paired; /* a ring of pairs: [width / 2][3 rows][QC_GROUP] words of two cells */
#endif
  qc_lane_t lane[QC_GROUP];
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

#if QC_DSP
/* Where a lane of a cell lies in a ring of pairs. */
QC_INLINE qc_cell_t *pair_of(const qc_group_t *group, int32_t slot, int32_t cell, int32_t lane) {
  return group->ring + ((cell / 2 * 3 + slot) * QC_GROUP + lane) * 2 + cell % 2;
}

/* Brings a row of inputs into one slot of a ring of pairs. */
QC_HOT static void fill_pairs(const qc_group_t *group, int32_t slot, const int8_t *input) {
  int32_t channels = group->op->in.c, cell = group->op->params->window.pad_left;
  int32_t end = cell + group->inside;
  while (cell < end) {
    qc_cell_t *to = pair_of(group, slot, cell, 0);
    if (cell % 2 == 0 && cell + 1 < end && group->lanes == QC_GROUP) {
      for (; cell + 1 < end; cell += 2, to += 3 * 2 * QC_GROUP) {
        uint32_t left = qc_load32(input), right = qc_load32(input + channels);
        uint32_t left02 = qc_even16(left), right02 = qc_even16(right);
        uint32_t left13 = qc_odd16(left), right13 = qc_odd16(right);
        qc_store32(to, qc_bottoms(left02, right02));
        qc_store32(to + 2, qc_bottoms(left13, right13));
        qc_store32(to + 4, qc_tops(left02, right02));
        qc_store32(to + 6, qc_tops(left13, right13));
        input += 2 * channels;
      }
    } else {
      for (int32_t lane = 0; lane < group->lanes; lane++) to[2 * lane] = input[lane];
      cell++, input += channels;
    }
  }
}

#endif

/* Brings input row y of the channels from c0 on into one slot of the ring. */
static void fill_slot(const qc_group_t *group, int32_t slot, int32_t n, int32_t y, int32_t c0) {
  const qc_conv_t *op = group->op;
  int32_t channels = op->in.c;
  if (group->inside <= 0) return;
  qc_cell_t *cell = row_of(group, slot) + op->params->window.pad_left * QC_GROUP;
  if (y < 0 || y >= op->in.h) {
#if QC_DSP
    if (group->paired) {
      for (int32_t i = 0; i < group->width; i += 2)
        fill(pair_of(group, slot, i, 0), 2, op->params->input_zero_point);
      return;
    }
#endif
    fill(cell, group->inside, op->params->input_zero_point);
    return;
  }
  const int8_t *input = op->input + (n * op->in.h + y) * op->in.w * channels + c0;
#if QC_DSP
  if (group->paired) {
    fill_pairs(group, slot, input);
    return;
  }
#endif
  if (group->lanes == QC_GROUP)
    copy_cells(cell, input, channels, group->inside);
  else
    copy_lanes(cell, input, channels, group->inside, group->lanes);
}

static int8_t finish(const qc_group_t *group, int32_t lane, int32_t sum) {
  const qc_conv_params_t *p = group->op->params;
  int32_t y = qc_requantize(sum, group->lane[lane].multiplier, -group->lane[lane].right);
  return (int8_t)qc_clamp(qc_add_zero_point(y, p->output_zero_point), p->act_min, p->act_max);
}

#if !QC_DSP

/* Any window: one row of outputs of one lane, whose first kernel row is slot `top`. */
static void lane_any(const qc_group_t *group, int32_t top, int32_t lane, int8_t *output) {
  const qc_window_t *w = &group->op->params->window;
  for (int32_t i = 0; i < group->op->out.w; i++, output += group->op->out.c) {
    const qc_cell_t *weight = group->weights + lane;
    int32_t sum = group->lane[lane].bias, slot = top;
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
  const qc_lane_t *rule = &group->lane[lane];
  int32_t multiplier = rule->multiplier, offset = rule->offset, bias = rule->bias;
  int32_t right = rule->right;
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
  const qc_lane_t *rule = &group->lane[lane];
  return qc_saturate8(qc_requantize_doubled(sum, rule->multiplier, rule->offset, rule->right));
}

/* Any window: one row of outputs whose first kernel row is slot `top`. */
QC_HOT static void row_any(const qc_group_t *group, int32_t top, int8_t *output) {
  const qc_conv_params_t *p = group->op->params;
  const qc_window_t *w = &p->window;
  bool fast = p->flags & QC_CONV_FAST;
  int32_t step = (int32_t)p->depth_multiplier;
  for (int32_t i = 0; i < group->op->out.w; i++, output += group->op->out.c) {
    const qc_cell_t *weight = group->weights;
    int32_t s0 = group->lane[0].bias, s1 = group->lane[1].bias, slot = top;
    int32_t s2 = group->lane[2].bias, s3 = group->lane[3].bias;
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

/* One row of outputs of one lane, two at a time. An odd last one computes its neighbour from what
 * lies behind and drops it. The weights take six registers, and eight are left: the rest stays in
 * memory. */
QC_INLINE void lane_pairs(const qc_lane_t *lane, int32_t first, int32_t width, int8_t *output,
                          int32_t stride) {
  const uint32_t *weights = lane->pairs[first];
  uint32_t a0 = weights[0], b0 = weights[1], a1 = weights[2], b1 = weights[3];
  uint32_t a2 = weights[4], b2 = weights[5];
  const uint8_t *x = lane->start;
#define QC_TAPS(i, a, b)                                                                           \
  {                                                                                                \
    uint32_t x0, x1;                                                                               \
    QC_LOAD_TWO(x0, x1, x, 16 * (i), 16 * (i) + 48);                                               \
    s0 = qc_smlad(a, x0, s0), s0 = qc_smlatb(b, x1, s0);                                           \
    if (stride == 1) {                                                                             \
      s1 = qc_smlabt(a, x0, s1), s1 = qc_smlad(b, x1, s1);                                         \
    } else {                                                                                       \
      s1 = qc_smlad(a, x1, s1);                                                                    \
      QC_LOAD_ONE(x0, x, 16 * (i) + 96);                                                           \
      s1 = qc_smlatb(b, x0, s1);                                                                   \
    }                                                                                              \
  }
#define QC_SUMS                                                                                    \
  int32_t s0 = lane->bias, s1 = s0;                                                                \
  QC_TAPS(0, a0, b0)                                                                               \
  QC_TAPS(1, a1, b1)                                                                               \
  QC_TAPS(2, a2, b2)                                                                               \
  int32_t multiplier = lane->multiplier, offset = lane->offset, right = lane->right;               \
  s0 = qc_saturate8(qc_requantize_doubled(s0, multiplier, offset, right));
  while (x != lane->end) {
    QC_SUMS
    s1 = qc_saturate8(qc_requantize_doubled(s1, multiplier, offset, right));
    int32_t step = lane->step;
    *output = (int8_t)s0, output += step;
    *output = (int8_t)s1, output += step;
    x += 48 * stride;
  }
  if (width % 2 != 0) {
    QC_SUMS(void) s1;
    *output = (int8_t)s0;
  }
#undef QC_SUMS
#undef QC_TAPS
}

/* Clamps what is saturated already. */
static void clamp_row(const qc_group_t *group, int8_t *output, int32_t step) {
  const qc_conv_params_t *p = group->op->params;
  for (int32_t i = group->op->out.w; i > 0; i--, output += group->op->out.c)
    for (int32_t lane = 0; lane < group->lanes; lane++)
      output[lane * step] = (int8_t)qc_clamp(output[lane * step], p->act_min, p->act_max);
}

QC_INLINE void row_pairs(const qc_group_t *group, int32_t top, int8_t *output, int32_t stride) {
  const qc_conv_params_t *p = group->op->params;
  int32_t step = (int32_t)p->depth_multiplier;
  int32_t first = top == 0 ? 0 : 3 - top, width = group->op->out.w;
  const qc_lane_t *lane = group->lane, *end = lane + group->lanes;
  for (int8_t *to = output; lane != end; lane++, to += step)
    lane_pairs(lane, first, width, to, stride);
  if (p->act_min > INT8_MIN || p->act_max < INT8_MAX) clamp_row(group, output, step);
}

QC_HOT static void row_3x3_stride1(const qc_group_t *group, int32_t top, int8_t *output) {
  row_pairs(group, top, output, 1);
}

QC_HOT static void row_3x3_stride2(const qc_group_t *group, int32_t top, int8_t *output) {
  row_pairs(group, top, output, 2);
}

#endif

typedef void (*qc_row_kernel_t)(const qc_group_t *group, int32_t top, int8_t *output);

static qc_row_kernel_t kernel_for(const qc_conv_t *op) {
  const qc_window_t *w = &op->params->window;
  if (w->kernel_h != 3 || w->dilation_h != 1 || !qc_is_paired_window(w) ||
      !(op->params->flags & QC_CONV_FAST))
    return row_any;
  return w->stride_w == 1 ? row_3x3_stride1 : row_3x3_stride2;
}

#if QC_DSP
/* What is needed to take an output channel of 3x3 windows in pairs. */
static void pair_lane(const qc_group_t *group, qc_lane_t *to, int32_t lane, const int8_t *weights) {
  const qc_conv_t *op = group->op;
  for (int32_t i = 0; i < 3; i++, weights += 3) {
    int32_t middle = weights[1] * 2;
    to->pairs[i][0] = qc_pair(weights[0] * 2, middle);
    to->pairs[i][1] = qc_pair(middle, weights[2] * 2);
  }
  qc_copy(to->pairs[3], to->pairs[0], 2 * sizeof to->pairs[0]);
  to->start = (const uint8_t *)pair_of(group, 0, 0, lane);
  to->end = to->start + op->out.w / 2 * 48 * op->params->window.stride_w;
  to->step = op->out.c;
}
#endif

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
    qc_lane_t *to = &group->lane[lane];
    to->bias = op->channels[c].bias * factor;
    to->multiplier = op->channels[c].multiplier;
    to->offset = op->channels[c].offset;
    to->right = -op->channels[c].shift;
#if QC_DSP
    if (group->paired) {
      pair_lane(group, to, lane, weight);
      continue;
    }
#endif
    qc_cell_t *cell = group->weights + place_of(lane);
    for (int32_t i = taps; i > 0; i--, cell += QC_GROUP) *cell = (qc_cell_t)(*weight++ * factor);
  }
}

/* All rows of one group in one batch. `output` is the group's first output. */
QC_HOT static void group_outputs(const qc_group_t *group, int32_t n, int32_t c0, int8_t *output) {
  const qc_conv_t *op = group->op;
  const qc_window_t *w = &op->params->window;
  qc_row_kernel_t kernel = kernel_for(op);
  int32_t rows = group->rows, top = 0;         /* the slot of the window's first row */
  int32_t next = -(int32_t)w->pad_top, to = 0; /* the next row to bring in, and its slot */
  int32_t advance = w->stride_h % rows;
  for (int32_t oy = 0; oy < op->out.h; oy++, output += op->out.w * op->out.c) {
    int32_t y0 = oy * w->stride_h - w->pad_top;
    if (next < y0) next = y0, to = top; /* rows between two windows */
    for (; next < y0 + rows; next++) {
      fill_slot(group, to, n, next, c0);
      to = to + 1 == rows ? 0 : to + 1;
    }
    kernel(group, top, output);
    top += advance;
    if (top >= rows) top -= rows;
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
#if QC_DSP
  group.paired = kernel_for(op) != row_any;
#endif
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

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

typedef struct {
  const qc_conv_t *op;
  qc_cell_t *ring; /* [rows][QC_DEPTHWISE_GROUP][width] */
  uint32_t rows, width;
} qc_planes_t;

/* Everything one channel needs for one output row. */
typedef struct {
  const qc_conv_params_t *params;
  const int8_t *weights;
  const qc_channel_t *channel;
  int8_t *output;
  int32_t step, count;
} qc_row_t;

QC_INLINE qc_cell_t *plane_row(const qc_planes_t *planes, uint32_t slot, uint32_t lane) {
  return planes->ring + (slot * QC_DEPTHWISE_GROUP + lane) * planes->width;
}

QC_INLINE void fill(qc_cell_t *cell, uint32_t count, int32_t value) {
  for (; count > 0; count--) *cell++ = (qc_cell_t)value;
}

/* Unfolds the cells [0, count) of an input row that start at `input`, `channels` apart. */
QC_HOT static void unfold(const int8_t *input, int32_t channels, qc_cell_t *plane, uint32_t width,
                          uint32_t count, uint32_t lanes) {
#if QC_DSP
  if (lanes == 4) {
    qc_cell_t *a = plane, *b = a + width, *c = b + width, *d = c + width;
    uint32_t pairs = count / 2;
    for (; pairs > 0; pairs--) {
      uint32_t left = qc_load32(input), right = qc_load32(input + channels);
      input += 2 * channels;
      uint32_t left_even = qc_even16(left), right_even = qc_even16(right);
      uint32_t left_odd = qc_odd16(left), right_odd = qc_odd16(right);
      qc_store32(a, qc_bottoms(left_even, right_even)), a += 2;
      qc_store32(b, qc_bottoms(left_odd, right_odd)), b += 2;
      qc_store32(c, qc_tops(left_even, right_even)), c += 2;
      qc_store32(d, qc_tops(left_odd, right_odd)), d += 2;
    }
    if (count % 2) *a = input[0], *b = input[1], *c = input[2], *d = input[3];
    return;
  }
#endif
  for (uint32_t lane = 0; lane < lanes; lane++) {
    const int8_t *cell = input + lane;
    qc_cell_t *to = plane + lane * width;
    for (uint32_t i = count; i > 0; i--, cell += channels) *to++ = *cell;
  }
}

/* Fills one slot of the ring with input row y of channels c0 .. c0 + lanes. */
static void fill_slot(const qc_planes_t *planes, uint32_t slot, int32_t n, int32_t y, int32_t c0,
                      uint32_t lanes) {
  const qc_conv_t *op = planes->op;
  const qc_conv_params_t *p = op->params;
  uint32_t width = planes->width;
  int32_t left = p->window.pad_left;
  int32_t inside = (int32_t)width - left; /* plane cells that may hold inputs */
  if (inside > op->in.w) inside = op->in.w;
  if (y < 0 || y >= op->in.h || inside <= 0) {
    fill(plane_row(planes, slot, 0), QC_DEPTHWISE_GROUP * width, p->input_zero_point);
    return;
  }
  for (uint32_t lane = 0; lane < lanes; lane++) {
    qc_cell_t *row = plane_row(planes, slot, lane);
    fill(row, (uint32_t)left, p->input_zero_point);
    fill(row + left + inside, width - (uint32_t)(left + inside), p->input_zero_point);
  }
  const int8_t *input = op->input + ((n * op->in.h + y) * op->in.w) * op->in.c + c0;
  unfold(input, op->in.c, plane_row(planes, slot, 0) + left, width, (uint32_t)inside, lanes);
}

QC_INLINE int32_t finish(int32_t sum, const qc_row_t *row) {
  const qc_conv_params_t *p = row->params;
  const qc_channel_t *channel = row->channel;
  int32_t y;
  if (p->flags & QC_CONV_FAST)
    y = qc_requantize_fast(sum, channel->multiplier, channel->shift);
  else
    y = qc_requantize(sum, channel->multiplier, channel->shift);
  return qc_clamp(y + p->output_zero_point, p->act_min, p->act_max);
}

/* Any window. `slots[i]` is the row of plane cells that kernel row i reads. */
static void row_any(const qc_planes_t *planes, const qc_row_t *row, uint32_t top, uint32_t lane) {
  const qc_window_t *w = &row->params->window;
  int8_t *output = row->output;
  for (int32_t i = 0; i < row->count; i++, output += row->step) {
    const int8_t *weight = row->weights;
    int32_t sum = row->channel->bias;
    uint32_t slot = top;
    for (uint32_t ky = 0; ky < w->kernel_h; ky++) {
      const qc_cell_t *cell = plane_row(planes, slot, lane) + i * w->stride_w;
      for (uint32_t kx = 0; kx < w->kernel_w; kx++, cell += w->dilation_w) sum += *weight++ * *cell;
      slot += w->dilation_h;
      if (slot >= planes->rows) slot -= planes->rows;
    }
    *output = (int8_t)finish(sum, row);
  }
}

/* 3x3 windows without dilation: two neighbouring outputs share what they read. The odd last one
 * computes its neighbour from padding cells and drops it. */
#if QC_DSP

QC_INLINE uint32_t pair_of(int32_t bottom, int32_t top) {
  return ((uint32_t)bottom & 0xffffu) | (uint32_t)top << 16;
}

QC_HOT static void row_3x3(const qc_row_t *row, const qc_cell_t *r0, const qc_cell_t *r1,
                           const qc_cell_t *r2, int32_t stride) {
  const int8_t *w = row->weights;
  const qc_cell_t *rows[3] = {r0, r1, r2};
  int8_t *output = row->output;
  uint32_t first[3], ends[3], last[3]; /* (w0, w1), (w2, w0), (w1, w2) of each kernel row */
  for (int i = 0; i < 3; i++, w += 3) {
    first[i] = pair_of(w[0], w[1]);
    ends[i] = pair_of(w[2], w[0]);
    last[i] = pair_of(w[1], w[2]);
  }
  int32_t bias = row->channel->bias;
  for (int32_t left = row->count; left > 0; left -= 2) {
    int32_t s0 = bias, s1 = bias;
    for (int i = 0; i < 3; i++) {
      uint32_t x0 = qc_load32(rows[i]), x1 = qc_load32(rows[i] + 2);
      s0 = qc_smlabb(ends[i], x1, qc_smlad(first[i], x0, s0));
      if (stride == 1) {
        s1 = qc_smlad(last[i], x1, qc_smlatt(ends[i], x0, s1));
        rows[i] += 2;
      } else {
        s1 = qc_smlabb(ends[i], qc_load32(rows[i] + 4), qc_smlad(first[i], x1, s1));
        rows[i] += 4;
      }
    }
    *output = (int8_t)finish(s0, row);
    output += row->step;
    if (left == 1) break;
    *output = (int8_t)finish(s1, row);
    output += row->step;
  }
}

#else

QC_HOT static void row_3x3(const qc_row_t *row, const qc_cell_t *r0, const qc_cell_t *r1,
                           const qc_cell_t *r2, int32_t stride) {
  const int8_t *w = row->weights;
  int32_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5];
  int32_t w6 = w[6], w7 = w[7], w8 = w[8], bias = row->channel->bias;
  int8_t *output = row->output;
  for (int32_t left = row->count; left > 0; left -= 2) {
    int32_t s0 = bias, s1 = bias;
#define QC_TAPS(r, a, b, c)                                                                        \
  {                                                                                                \
    int32_t x0 = r[0], x1 = r[1], x2 = r[2];                                                       \
    s0 += a * x0 + b * x1 + c * x2;                                                                \
    if (stride == 1)                                                                               \
      s1 += a * x1 + b * x2 + c * r[3], r += 2;                                                    \
    else                                                                                           \
      s1 += a * x2 + b * r[3] + c * r[4], r += 4;                                                  \
  }
    QC_TAPS(r0, w0, w1, w2)
    QC_TAPS(r1, w3, w4, w5)
    QC_TAPS(r2, w6, w7, w8)
#undef QC_TAPS
    *output = (int8_t)finish(s0, row);
    output += row->step;
    if (left == 1) break;
    *output = (int8_t)finish(s1, row);
    output += row->step;
  }
}

#endif

/* All outputs of one row that depend on one lane of the planes. */
static void lane_outputs(const qc_planes_t *planes, uint32_t top, uint32_t lane, int32_t channel,
                         int8_t *output) {
  const qc_conv_t *op = planes->op;
  const qc_window_t *w = &op->params->window;
  int32_t taps = (int32_t)w->kernel_h * w->kernel_w;
  int32_t multiplier = (int32_t)op->params->depth_multiplier;
  for (int32_t c = channel * multiplier; c < (channel + 1) * multiplier; c++) {
    qc_row_t row = {op->params, op->weights + c * taps, op->channels + c, output + c, op->out.c,
                    op->out.w};
    if (taps == 9 && w->kernel_h == 3 && planes->rows == 3 && w->dilation_w == 1 &&
        w->stride_w <= 2) {
      uint32_t second = top == 2 ? 0 : top + 1, third = second == 2 ? 0 : second + 1;
      const qc_cell_t *r0 = plane_row(planes, top, lane);
      const qc_cell_t *r1 = plane_row(planes, second, lane);
      const qc_cell_t *r2 = plane_row(planes, third, lane);
      if (w->stride_w == 1)
        row_3x3(&row, r0, r1, r2, 1);
      else
        row_3x3(&row, r0, r1, r2, 2);
    } else {
      row_any(planes, &row, top, lane);
    }
  }
}

QC_HOT void qc_depthwise_conv2d_s8(const qc_conv_t *op) {
  const qc_window_t *w = &op->params->window;
  qc_planes_t planes = {op, op->scratch, qc_plane_rows(w), qc_plane_width(w, (uint32_t)op->out.w)};
  for (int32_t n = 0; n < op->out.n; n++) {
    for (int32_t c0 = 0; c0 < op->in.c; c0 += QC_DEPTHWISE_GROUP) {
      int32_t lanes = op->in.c - c0 < QC_DEPTHWISE_GROUP ? op->in.c - c0 : QC_DEPTHWISE_GROUP;
      int32_t filled = -(int32_t)w->pad_top; /* the next input row to unfold */
      for (int32_t oy = 0; oy < op->out.h; oy++) {
        int32_t y0 = oy * w->stride_h - w->pad_top;
        if (filled < y0) filled = y0;
        for (; filled < y0 + (int32_t)planes.rows; filled++)
          fill_slot(&planes, (uint32_t)(filled + w->pad_top) % planes.rows, n, filled, c0,
                    (uint32_t)lanes);
        uint32_t top = (uint32_t)(oy * w->stride_h) % planes.rows;
        int8_t *output = op->output + ((n * op->out.h + oy) * op->out.w) * op->out.c;
        for (int32_t lane = 0; lane < lanes; lane++)
          lane_outputs(&planes, top, (uint32_t)lane, c0 + lane, output);
      }
    }
  }
}

/* See qc_columns.h. Accumulators are int32 and wrap. Requantization per output channel, double
 * rounding (SPEC.md).
 *
 * PAIRED weights: the sum with the halfwords is 256 * (sum of the odd row) + (sum of the even row),
 * the sum with their low bytes that of the even row. Both start at the even row's bias; the
 * difference is a multiple of 256, exact as long as the odd row's sum has 24 bits. */
#include "qc_columns.h"

#include <stdbool.h>

#include "qc_fixed_point.h"

/* The sum of an odd row, from those of the halfwords and of the even row. */
QC_INLINE uint32_t odd_sum(uint32_t both, uint32_t even, uint32_t bias) {
  return (uint32_t)((int32_t)(both - even) >> 8) + bias;
}

/* Any requantization of the sums of up to four rows: `count` columns of each, `step` apart. */
static void store_any(int8_t *output, int32_t step, const int32_t *sums, int32_t rows,
                      int32_t count, const qc_channel_t *channel, const qc_conv_params_t *p) {
  for (int32_t r = 0; r < rows && r < 4; r++, channel++)
    for (int32_t i = 0; i < count; i++) {
      int32_t y = qc_requantize(*sums++, channel->multiplier, channel->shift);
      y = qc_clamp(qc_add_zero_point(y, p->output_zero_point), p->act_min, p->act_max);
      output[i * step + r] = (int8_t)y;
    }
}

#if !QC_DSP

/* Writes `count` neighbouring sums of one output channel, `step` bytes apart. */
QC_INLINE void store(int8_t *output, int32_t step, const int32_t *sums, int32_t count,
                     const qc_channel_t *channel, const qc_conv_params_t *p) {
  if (p->flags & QC_CONV_FAST) {
    int32_t multiplier = channel->multiplier, offset = channel->offset, shift = channel->shift;
    int32_t low = p->act_min, high = p->act_max;
    for (; count > 0; count--, output += step)
      *output = (int8_t)qc_clamp(qc_requantize_fast(*sums++, multiplier, offset, shift), low, high);
  } else {
    store_any(output, step, sums, 1, count, channel, p);
  }
}

/* The tiles compute in uint32_t, where sums may wrap. */
QC_INLINE uint32_t wide(int8_t x) {
  return (uint32_t)x;
}

/* Weight i of row r in a block of four by four. Of an odd row in PAIRED weights: with the even
 * one's in its low byte. */
QC_INLINE uint32_t weight(const int8_t *w, uint32_t r, uint32_t i, bool paired) {
  if (!paired) return wide(w[4 * r + i]);
  const int8_t *at = w + 8 * (i & 1u) + 4 * (r >> 1) + 2 * (i >> 1);
  return (r & 1u) == 0 ? wide(*at) : (uint32_t) * (const int16_t *)(const void *)at;
}

/* Four rows times one column of `whole` inputs, a multiple of 4. sum[r]: in the row's bias, out its
 * sum. */
QC_INLINE void multiply_4x1(const int8_t *w, const int8_t *x, uint32_t whole, int32_t sum[4],
                            bool paired) {
  uint32_t s0 = (uint32_t)sum[0], s1 = paired ? s0 : (uint32_t)sum[1];
  uint32_t s2 = (uint32_t)sum[2], s3 = paired ? s2 : (uint32_t)sum[3];
  for (const int8_t *end = x + whole; x != end; x += 4, w += 16) {
#define QC_STEP(i)                                                                                 \
  {                                                                                                \
    uint32_t a = wide(x[i]);                                                                       \
    s0 += weight(w, 0, i, paired) * a, s1 += weight(w, 1, i, paired) * a;                          \
    s2 += weight(w, 2, i, paired) * a, s3 += weight(w, 3, i, paired) * a;                          \
  }
    QC_STEP(0)
    QC_STEP(1)
    QC_STEP(2)
    QC_STEP(3)
#undef QC_STEP
  }
  if (paired) s1 = odd_sum(s1, s0, (uint32_t)sum[1]), s3 = odd_sum(s3, s2, (uint32_t)sum[3]);
  sum[0] = (int32_t)s0, sum[1] = (int32_t)s1, sum[2] = (int32_t)s2, sum[3] = (int32_t)s3;
}

QC_HOT QC_TILE static void paired_4x1(const int8_t *w, const int8_t *x, uint32_t whole,
                                      int32_t sum[4]) {
  multiply_4x1(w, x, whole, sum, true);
}

QC_HOT QC_TILE static void block_4x1(const int8_t *w, const int8_t *x, uint32_t whole,
                                     int32_t sum[4]) {
  multiply_4x1(w, x, whole, sum, false);
}

/* Adds the products behind the last group of four inputs to the sums of `count` columns,
 * sum[count * r + i] of row r and column i. */
static void multiply_rest(const int8_t *w, const int8_t *const columns[QC_COLUMNS], uint32_t length,
                          uint32_t count, int32_t *sum, bool paired) {
  uint32_t from = length & ~3u;
  w += 4 * from;
  for (uint32_t i = 0; i < 4 * count; i++)
    for (uint32_t k = from; k < length; k++) {
      uint32_t r = i / count;
      int32_t value = (int32_t)weight(w, r, k - from, paired);
      if (paired && (r & 1u) != 0) value = (value - (int8_t)value) / 256;
      sum[i] = qc_mac(sum[i], value, columns[i % count][k]);
    }
}

/* Four rows times four columns: sixteen accumulators, 2.5 instructions per product on RV32IM.
 * sum[4 * r]: in the row's bias, out its four sums. */
QC_INLINE void multiply_4x4(const int8_t *w, const int8_t *const columns[4], uint32_t whole,
                            int32_t sum[16], bool paired) {
  const int8_t *x0 = columns[0], *x1 = columns[1], *x2 = columns[2], *x3 = columns[3];
  uint32_t s00 = (uint32_t)sum[0], s01 = s00, s02 = s00, s03 = s00;
  uint32_t s10 = paired ? s00 : (uint32_t)sum[4], s11 = s10, s12 = s10, s13 = s10;
  uint32_t s20 = (uint32_t)sum[8], s21 = s20, s22 = s20, s23 = s20;
  uint32_t s30 = paired ? s20 : (uint32_t)sum[12], s31 = s30, s32 = s30, s33 = s30;
  for (const int8_t *end = x0 + whole; x0 != end;) {
#define QC_STEP(i)                                                                                 \
  {                                                                                                \
    uint32_t w0 = weight(w, 0, i, paired), w1 = weight(w, 1, i, paired);                           \
    uint32_t w2 = weight(w, 2, i, paired), w3 = weight(w, 3, i, paired), x;                        \
    x = wide(x0[i]), s00 += w0 * x, s10 += w1 * x, s20 += w2 * x, s30 += w3 * x;                   \
    x = wide(x1[i]), s01 += w0 * x, s11 += w1 * x, s21 += w2 * x, s31 += w3 * x;                   \
    x = wide(x2[i]), s02 += w0 * x, s12 += w1 * x, s22 += w2 * x, s32 += w3 * x;                   \
    x = wide(x3[i]), s03 += w0 * x, s13 += w1 * x, s23 += w2 * x, s33 += w3 * x;                   \
  }
    QC_STEP(0)
    QC_STEP(1)
    QC_STEP(2)
    QC_STEP(3)
#undef QC_STEP
    w += 16;
    x0 += 4, x1 += 4, x2 += 4, x3 += 4;
  }
  if (paired) {
    uint32_t b1 = (uint32_t)sum[4], b3 = (uint32_t)sum[12];
    s10 = odd_sum(s10, s00, b1), s11 = odd_sum(s11, s01, b1);
    s12 = odd_sum(s12, s02, b1), s13 = odd_sum(s13, s03, b1);
    s30 = odd_sum(s30, s20, b3), s31 = odd_sum(s31, s21, b3);
    s32 = odd_sum(s32, s22, b3), s33 = odd_sum(s33, s23, b3);
  }
  const uint32_t sums[16] = {s00, s01, s02, s03, s10, s11, s12, s13,
                             s20, s21, s22, s23, s30, s31, s32, s33};
  qc_copy(sum, sums, sizeof sums);
}

QC_HOT QC_TILE static void paired_4x4(const int8_t *w, const int8_t *const columns[4],
                                      uint32_t whole, int32_t sum[16]) {
  multiply_4x4(w, columns, whole, sum, true);
}

QC_HOT QC_TILE static void block_4x4(const int8_t *w, const int8_t *const columns[4],
                                     uint32_t whole, int32_t sum[16]) {
  multiply_4x4(w, columns, whole, sum, false);
}

QC_HOT void qc_columns_multiply(const qc_conv_t *op, const int8_t *const columns[QC_COLUMNS],
                                uint32_t length, int32_t count, int8_t *output) {
  int32_t channels = op->out.c;
  uint32_t whole = length & ~3u, k = qc_round_up(length, 4);
  bool paired = op->params->packing == QC_PACKING_PAIRED4X4;
  const int8_t *w = op->weights;
  const qc_channel_t *channel = op->channels;
  for (int32_t c = 0; c < channels; c += 4, w += 4 * k, channel += 4, output += 4) {
    int32_t rows = channels - c < 4 ? channels - c : 4;
    int32_t sum[16];
    if (count == QC_COLUMNS) {
      for (int32_t r = 0; r < 4; r++) sum[4 * r] = channel[r].bias;
      if (paired)
        paired_4x4(w, columns, whole, sum);
      else
        block_4x4(w, columns, whole, sum);
      if (k != whole) multiply_rest(w, columns, length, QC_COLUMNS, sum, paired);
      for (int32_t r = 0; r < rows; r++)
        store(output + r, channels, sum + 4 * r, 4, channel + r, op->params);
    } else {
      for (int32_t i = 0; i < count; i++) {
        for (int32_t r = 0; r < 4; r++) sum[r] = channel[r].bias;
        (paired ? paired_4x1 : block_4x1)(w, columns[i], whole, sum);
        if (k != whole) multiply_rest(w, columns + i, length, 1, sum, paired);
        for (int32_t r = 0; r < rows; r++)
          store(output + i * channels + r, 0, sum + r, 1, channel + r, op->params);
      }
    }
  }
}

#else

/* Requantizes and saturates `count` sums of a row of a block of a fast operator. */
QC_INLINE void store_fast(const qc_channel_t *channels, uint32_t row, const int32_t *sums,
                          int32_t count, int8_t *output, int32_t step) {
  const volatile qc_channel_t *channel = channels + row; /* loads stay together */
  int32_t multiplier = channel->multiplier, shift = channel->shift, offset = channel->offset;
  output += row;
  for (int32_t i = 0; i < count; i++, output += step)
    *output = (int8_t)qc_saturate8(qc_requantize_fast(sums[i], multiplier, offset, shift));
}

/* Clamps saturated outputs of fast operators whose activation does not fill int8. */
static void clamp_narrow(const qc_conv_params_t *p, int8_t *output, int32_t count) {
  if (!(p->flags & QC_CONV_FAST) || (p->act_min == INT8_MIN && p->act_max == INT8_MAX)) return;
  for (; count > 0; count--, output++) *output = (int8_t)qc_clamp(*output, p->act_min, p->act_max);
}

QC_INLINE int32_t odd_row(int32_t both, int32_t even, const qc_channel_t *odd) {
  return (int32_t)odd_sum((uint32_t)both, (uint32_t)even, (uint32_t)odd->bias);
}

/* PAIRED blocks of four rows times two columns: 28 instructions for 32 products. They take fourteen
 * registers, all that there are, so that the loops' ends stay in memory. */
QC_HOT static void paired_by_2(const qc_conv_t *op, const uint8_t *columns, uint32_t k,
                               int8_t *output) {
  const qc_conv_params_t *p = op->params;
  const qc_channel_t *channel = op->channels;
  const int8_t *w = op->weights;
  int32_t step = op->out.c;
  bool fast = p->flags & QC_CONV_FAST;
  const uint8_t *volatile end = columns + 4 * k;
  const uint8_t *volatile stop = columns + 4 * (k & ~15u);
  for (int32_t rows = step; rows > 0; rows -= 4, channel += 4, output += 4) {
    const uint8_t *x = columns;
    int32_t s0 = channel[0].bias, s1 = s0, b0 = s0, b1 = s0;
    int32_t t0 = channel[2].bias, t1 = t0, c0 = t0, c1 = t0;
#define QC_HALF(i, j)                                                                              \
  {                                                                                                \
    uint32_t v, u, x0, x1;                                                                         \
    QC_LOAD_FOUR(v, u, w, i, (i) + 4, x0, x1, x, j, (j) + 8);                                      \
    b0 = qc_smlad(v, x0, b0), b1 = qc_smlad(v, x1, b1), v = qc_even16(v);                          \
    c0 = qc_smlad(u, x0, c0), c1 = qc_smlad(u, x1, c1), u = qc_even16(u);                          \
    s0 = qc_smlad(v, x0, s0), s1 = qc_smlad(v, x1, s1);                                            \
    t0 = qc_smlad(u, x0, t0), t1 = qc_smlad(u, x1, t1);                                            \
  }
#define QC_STEP(i) QC_HALF(i, i) QC_HALF((i) + 8, (i) + 4)
    for (; x != stop; x += 64, w += 64) {
      QC_STEP(0)
      QC_STEP(16)
      QC_STEP(32)
      QC_STEP(48)
    }
    for (; x != end; x += 16, w += 16) {
      QC_STEP(0)
    }
#undef QC_STEP
#undef QC_HALF
    b0 = odd_row(b0, s0, &channel[1]), b1 = odd_row(b1, s1, &channel[1]);
    c0 = odd_row(c0, t0, &channel[3]), c1 = odd_row(c1, t1, &channel[3]);
    if (fast && rows >= 4) {
      store_fast(channel, 0, (const int32_t[]){s0, s1}, 2, output, step);
      store_fast(channel, 1, (const int32_t[]){b0, b1}, 2, output, step);
      store_fast(channel, 2, (const int32_t[]){t0, t1}, 2, output, step);
      store_fast(channel, 3, (const int32_t[]){c0, c1}, 2, output, step);
    } else {
      const int32_t sums[8] = {s0, s1, b0, b1, t0, t1, c0, c1};
      store_any(output, step, sums, rows, 2, channel, p);
    }
  }
}

/* Two rows of BLOCK weights times two columns: 15 instructions for 16 products. */
QC_HOT static void block_by_2(const qc_conv_t *op, const uint8_t *columns, uint32_t k,
                              int8_t *output) {
  const qc_conv_params_t *p = op->params;
  const qc_channel_t *channel = op->channels;
  const int8_t *w = op->weights;
  int32_t step = op->out.c;
  bool fast = p->flags & QC_CONV_FAST;
  const uint8_t *end = columns + 4 * k, *stop = columns + 4 * (k & ~15u);
  for (int32_t rows = step; rows > 0; rows -= 2, channel += 2, output += 2) {
    const uint8_t *x = columns;
    int32_t s00 = channel[0].bias, s01 = s00;
    int32_t s10 = channel[1].bias, s11 = s10;
#define QC_STEP                                                                                    \
  {                                                                                                \
    uint32_t w0, w1, x0, x1, w0_odd, w1_odd;                                                       \
    QC_LOAD_PAIR(w0, w1, w, 16);                                                                   \
    w0_odd = qc_odd16(w0), w0 = qc_even16(w0);                                                     \
    w1_odd = qc_odd16(w1), w1 = qc_even16(w1);                                                     \
    QC_LOAD_PAIR(x0, x1, x, 8);                                                                    \
    s00 = qc_smlad(w0, x0, s00), s00 = qc_smlad(w0_odd, x1, s00);                                  \
    s10 = qc_smlad(w1, x0, s10), s10 = qc_smlad(w1_odd, x1, s10);                                  \
    QC_LOAD_PAIR(x0, x1, x, 8);                                                                    \
    s01 = qc_smlad(w0, x0, s01), s01 = qc_smlad(w0_odd, x1, s01);                                  \
    s11 = qc_smlad(w1, x0, s11), s11 = qc_smlad(w1_odd, x1, s11);                                  \
  }
    while (x != stop) {
      QC_STEP QC_STEP QC_STEP QC_STEP
    }
    while (x != end) QC_STEP
#undef QC_STEP
    /* behind rows 0 and 1 of a block of four come rows 2 and 3, then the next block */
    w += (channel - op->channels) & 2 ? -8 : 8 - 4 * (int32_t)k;
    const int32_t sums[4] = {s00, s01, s10, s11};
    if (fast && rows > 1) {
      store_fast(channel, 0, sums, 2, output, step);
      store_fast(channel, 1, sums + 2, 2, output, step);
    } else {
      store_any(output, step, sums, rows < 2 ? rows : 2, 2, channel, p);
    }
  }
}

QC_HOT void qc_columns_multiply_2(const qc_conv_t *op, const uint8_t *columns, uint32_t k,
                                  int8_t *output) {
  if (op->params->packing == QC_PACKING_PAIRED4X4)
    paired_by_2(op, columns, k, output);
  else
    block_by_2(op, columns, k, output);
  clamp_narrow(op->params, output, 2 * op->out.c);
}

/* Blocks of four rows times one column, widened on the way: 19 instructions for 16 products. */
QC_INLINE void rows_by_1(const qc_conv_t *op, const int8_t *column, uint32_t length, int8_t *output,
                         bool paired) {
  const qc_conv_params_t *p = op->params;
  const qc_channel_t *channel = op->channels;
  const int8_t *w = op->weights;
  bool fast = p->flags & QC_CONV_FAST;
  const int8_t *end = column + (length & ~3u), *stop = column + (length & ~15u);
  uint32_t rest = length & 3u, last = rest > 0 ? qc_load_rest(end, rest) : 0;
  for (int32_t rows = op->out.c; rows > 0; rows -= 4, channel += 4, output += 4) {
    const int8_t *x = column;
    int32_t s0 = channel[0].bias, s1 = paired ? s0 : channel[1].bias;
    int32_t s2 = channel[2].bias, s3 = paired ? s2 : channel[3].bias;
#define QC_STEP(load, x0)                                                                          \
  {                                                                                                \
    uint32_t a, b, c, d, x1;                                                                       \
    load;                                                                                          \
    x1 = qc_odd16(x0), x0 = qc_even16(x0);                                                         \
    if (paired) { /* rows 0 and 1, 2 and 3; the even inputs, then the odd ones */                  \
      s1 = qc_smlad(a, x0, s1), s0 = qc_smlad(qc_even16(a), x0, s0);                               \
      s3 = qc_smlad(b, x0, s3), s2 = qc_smlad(qc_even16(b), x0, s2);                               \
      s1 = qc_smlad(c, x1, s1), s0 = qc_smlad(qc_even16(c), x1, s0);                               \
      s3 = qc_smlad(d, x1, s3), s2 = qc_smlad(qc_even16(d), x1, s2);                               \
    } else { /* a row each */                                                                      \
      s0 = qc_smlad(qc_even16(a), x0, s0), s0 = qc_smlad(qc_odd16(a), x1, s0);                     \
      s1 = qc_smlad(qc_even16(b), x0, s1), s1 = qc_smlad(qc_odd16(b), x1, s1);                     \
      s2 = qc_smlad(qc_even16(c), x0, s2), s2 = qc_smlad(qc_odd16(c), x1, s2);                     \
      s3 = qc_smlad(qc_even16(d), x0, s3), s3 = qc_smlad(qc_odd16(d), x1, s3);                     \
    }                                                                                              \
  }
#define QC_BLOCK(i, j)                                                                             \
  {                                                                                                \
    uint32_t word;                                                                                 \
    QC_STEP(QC_LOAD_FIVE(a, b, c, d, w, i, word, x, j), word)                                      \
  }
    for (; x != stop; x += 16, w += 64) {
      QC_BLOCK(0, 0)
      QC_BLOCK(16, 4)
      QC_BLOCK(32, 8)
      QC_BLOCK(48, 12)
    }
    for (; x != end; x += 4, w += 16) QC_BLOCK(0, 0)
    if (rest > 0) {
      uint32_t word = last;
      QC_STEP(QC_LOAD_PAIR_AT(a, b, w, 0); QC_LOAD_PAIR_AT(c, d, w, 8), word)
      w += 16;
    }
#undef QC_BLOCK
#undef QC_STEP
    if (paired) s1 = odd_row(s1, s0, &channel[1]), s3 = odd_row(s3, s2, &channel[3]);
    int32_t sums[4] = {s0, s1, s2, s3};
    if (!fast || rows < 4) {
      store_any(output, 0, sums, rows, 1, channel, p);
      continue;
    }
    store_fast(channel, 0, sums, 1, output, 0);
    store_fast(channel, 1, sums + 1, 1, output, 0);
    store_fast(channel, 2, sums + 2, 1, output, 0);
    store_fast(channel, 3, sums + 3, 1, output, 0);
  }
}

QC_HOT void qc_columns_multiply_1(const qc_conv_t *op, const int8_t *column, uint32_t length,
                                  int8_t *output) {
  if (op->params->packing == QC_PACKING_PAIRED4X4)
    rows_by_1(op, column, length, output, true);
  else
    rows_by_1(op, column, length, output, false);
  clamp_narrow(op->params, output, op->out.c);
}

#endif

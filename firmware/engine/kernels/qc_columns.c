/* See qc_columns.h. Accumulators are int32 and wrap. Requantization per output channel, double
 * rounding (SPEC.md). */
#include "qc_columns.h"

#include <stdbool.h>

#include "qc_fixed_point.h"

static int32_t finish_any(int32_t sum, const qc_channel_t *channel, const qc_conv_params_t *p) {
  int32_t y = qc_requantize(sum, channel->multiplier, channel->shift);
  return qc_clamp(qc_add_zero_point(y, p->output_zero_point), p->act_min, p->act_max);
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
    for (; count > 0; count--, output += step) *output = (int8_t)finish_any(*sums++, channel, p);
  }
}

/* The tiles compute in uint32_t, where sums may wrap. */
QC_INLINE uint32_t wide(int8_t x) {
  return (uint32_t)x;
}

/* Four rows times one column of `whole` inputs, a multiple of 4. sum[r]: in the row's bias, out its
 * sum. */
QC_HOT QC_TILE static void multiply_4x1(const int8_t *w, const int8_t *x, uint32_t whole,
                                        int32_t sum[4]) {
  uint32_t s0 = (uint32_t)sum[0], s1 = (uint32_t)sum[1];
  uint32_t s2 = (uint32_t)sum[2], s3 = (uint32_t)sum[3];
  for (const int8_t *end = x + whole; x != end; x += 4, w += 16) {
    uint32_t a = wide(x[0]), b = wide(x[1]), c = wide(x[2]), d = wide(x[3]);
    s0 += wide(w[0]) * a, s0 += wide(w[1]) * b, s0 += wide(w[2]) * c, s0 += wide(w[3]) * d;
    s1 += wide(w[4]) * a, s1 += wide(w[5]) * b, s1 += wide(w[6]) * c, s1 += wide(w[7]) * d;
    s2 += wide(w[8]) * a, s2 += wide(w[9]) * b, s2 += wide(w[10]) * c, s2 += wide(w[11]) * d;
    s3 += wide(w[12]) * a, s3 += wide(w[13]) * b, s3 += wide(w[14]) * c, s3 += wide(w[15]) * d;
  }
  sum[0] = (int32_t)s0, sum[1] = (int32_t)s1, sum[2] = (int32_t)s2, sum[3] = (int32_t)s3;
}

/* Adds the products behind the last group of four inputs to the sums of `count` columns,
 * sum[count * r + i] of row r and column i. */
static void multiply_rest(const int8_t *w, const int8_t *const columns[QC_COLUMNS], uint32_t length,
                          int32_t count, int32_t *sum) {
  uint32_t from = length & ~3u;
  for (int32_t i = 0; i < 4 * count; i++)
    for (uint32_t k = from; k < length; k++)
      sum[i] = qc_mac(sum[i], w[4 * from + 4 * ((uint32_t)i / (uint32_t)count) + k % 4],
                      columns[i % count][k]);
}

/* Four rows times four columns: sixteen accumulators, 2.5 instructions per product on RV32IM.
 * sum[4 * r]: in the row's bias, out its four sums. */
QC_HOT QC_TILE static void multiply_4x4(const int8_t *w, const int8_t *const columns[4],
                                        uint32_t whole, int32_t sum[16]) {
  const int8_t *x0 = columns[0], *x1 = columns[1], *x2 = columns[2], *x3 = columns[3];
  uint32_t s00 = (uint32_t)sum[0], s01 = s00, s02 = s00, s03 = s00;
  uint32_t s10 = (uint32_t)sum[4], s11 = s10, s12 = s10, s13 = s10;
  uint32_t s20 = (uint32_t)sum[8], s21 = s20, s22 = s20, s23 = s20;
  uint32_t s30 = (uint32_t)sum[12], s31 = s30, s32 = s30, s33 = s30;
  for (const int8_t *end = x0 + whole; x0 != end;) {
#define QC_STEP(i)                                                                                 \
  {                                                                                                \
    uint32_t w0 = wide(w[i]), w1 = wide(w[(i) + 4]), w2 = wide(w[(i) + 8]);                        \
    uint32_t w3 = wide(w[(i) + 12]), x;                                                            \
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
  const uint32_t sums[16] = {s00, s01, s02, s03, s10, s11, s12, s13,
                             s20, s21, s22, s23, s30, s31, s32, s33};
  qc_copy(sum, sums, sizeof sums);
}

QC_HOT void qc_columns_multiply(const qc_conv_t *op, const int8_t *const columns[QC_COLUMNS],
                                uint32_t length, int32_t count, int8_t *output) {
  int32_t channels = op->out.c;
  uint32_t whole = length & ~3u, k = qc_round_up(length, 4);
  const int8_t *w = op->weights;
  const qc_channel_t *channel = op->channels;
  for (int32_t c = 0; c < channels; c += 4, w += 4 * k, channel += 4, output += 4) {
    int32_t rows = channels - c < 4 ? channels - c : 4;
    int32_t sum[16];
    if (count == QC_COLUMNS) {
      for (int r = 0; r < 4; r++) sum[4 * r] = channel[r].bias;
      multiply_4x4(w, columns, whole, sum);
      if (k != whole) multiply_rest(w, columns, length, QC_COLUMNS, sum);
      for (int32_t r = 0; r < rows; r++)
        store(output + r, channels, sum + 4 * r, 4, channel + r, op->params);
    } else {
      for (int32_t i = 0; i < count; i++) {
        for (int r = 0; r < 4; r++) sum[r] = channel[r].bias;
        multiply_4x1(w, columns[i], whole, sum);
        if (k != whole) multiply_rest(w, columns + i, length, 1, sum);
        for (int32_t r = 0; r < rows; r++)
          store(output + i * channels + r, 0, sum + r, 1, channel + r, op->params);
      }
    }
  }
}

#else

QC_INLINE int32_t finish(int32_t sum, const qc_channel_t *channel, const qc_conv_params_t *p,
                         bool fast) {
  if (!fast) return finish_any(sum, channel, p);
  return qc_saturate8(
      qc_requantize_fast(sum, channel->multiplier, channel->offset, channel->shift));
}

/* Fast operators whose activation does not fill int8 clamp in a second step. */
QC_INLINE bool is_narrow(const qc_conv_params_t *p, bool fast) {
  return fast && (p->act_min > INT8_MIN || p->act_max < INT8_MAX);
}

/* Pairs of rows times two columns: 15 instructions for 16 products. */
QC_INLINE void rows_by_2(const qc_conv_t *op, const uint8_t *columns, uint32_t k, int8_t *output,
                         bool fast) {
  const qc_conv_params_t *p = op->params;
  const qc_channel_t *channel = op->channels;
  const int8_t *w = op->weights;
  int32_t step = op->out.c;
  bool narrow = is_narrow(p, fast);
  const uint8_t *end = columns + 4 * k, *stop = end - (k & 15u) * 4;
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
    s00 = finish(s00, &channel[0], p, fast), s01 = finish(s01, &channel[0], p, fast);
    s10 = finish(s10, &channel[1], p, fast), s11 = finish(s11, &channel[1], p, fast);
    if (narrow) {
      s00 = qc_clamp(s00, p->act_min, p->act_max), s01 = qc_clamp(s01, p->act_min, p->act_max);
      s10 = qc_clamp(s10, p->act_min, p->act_max), s11 = qc_clamp(s11, p->act_min, p->act_max);
    }
    output[0] = (int8_t)s00, output[step] = (int8_t)s01;
    if (rows > 1) output[1] = (int8_t)s10, output[step + 1] = (int8_t)s11;
  }
}

/* Blocks of four rows times one column, widened on the way: 21 instructions for 16 products. */
QC_INLINE void rows_by_1(const qc_conv_t *op, const int8_t *column, uint32_t length, int8_t *output,
                         bool fast) {
  const qc_conv_params_t *p = op->params;
  const qc_channel_t *channel = op->channels;
  const int8_t *w = op->weights;
  bool narrow = is_narrow(p, fast);
  const int8_t *end = column + (length & ~3u), *stop = column + (length & ~15u);
  uint32_t rest = length & 3u, last = rest > 0 ? qc_load_rest(end, rest) : 0;
  for (int32_t rows = op->out.c; rows > 0; rows -= 4) {
    const int8_t *x = column;
    int32_t s0 = channel[0].bias, s1 = channel[1].bias;
    int32_t s2 = channel[2].bias, s3 = channel[3].bias;
#define QC_STEP(word)                                                                              \
  {                                                                                                \
    uint32_t a, b, x1 = word, x0 = qc_even16(x1);                                                  \
    x1 = qc_odd16(x1);                                                                             \
    QC_LOAD_PAIR(a, b, w, 8);                                                                      \
    s0 = qc_smlad(qc_even16(a), x0, s0), s0 = qc_smlad(qc_odd16(a), x1, s0);                       \
    s1 = qc_smlad(qc_even16(b), x0, s1), s1 = qc_smlad(qc_odd16(b), x1, s1);                       \
    QC_LOAD_PAIR(a, b, w, 8);                                                                      \
    s2 = qc_smlad(qc_even16(a), x0, s2), s2 = qc_smlad(qc_odd16(a), x1, s2);                       \
    s3 = qc_smlad(qc_even16(b), x0, s3), s3 = qc_smlad(qc_odd16(b), x1, s3);                       \
  }
    for (; x != stop; x += 16) {
      QC_STEP(qc_load32(x))
      QC_STEP(qc_load32(x + 4))
      QC_STEP(qc_load32(x + 8))
      QC_STEP(qc_load32(x + 12))
    }
    for (; x != end; x += 4) QC_STEP(qc_load32(x))
    if (rest > 0) QC_STEP(last)
#undef QC_STEP
    int32_t sums[4] = {s0, s1, s2, s3};
    for (int32_t r = 0; r < 4 && r < rows; r++, channel++) {
      int32_t y = finish(sums[r], channel, p, fast);
      *output++ = (int8_t)(narrow ? qc_clamp(y, p->act_min, p->act_max) : y);
    }
  }
}

QC_HOT void qc_columns_multiply_1(const qc_conv_t *op, const int8_t *column, uint32_t length,
                                  int8_t *output) {
  if (op->params->flags & QC_CONV_FAST)
    rows_by_1(op, column, length, output, true);
  else
    rows_by_1(op, column, length, output, false);
}

QC_HOT void qc_columns_multiply_2(const qc_conv_t *op, const uint8_t *columns, uint32_t k,
                                  int8_t *output) {
  if (op->params->flags & QC_CONV_FAST)
    rows_by_2(op, columns, k, output, true);
  else
    rows_by_2(op, columns, k, output, false);
}

#endif

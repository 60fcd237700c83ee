/* See qc_columns.h. Accumulators are int32 and cannot overflow: the image loader has checked
 * K * 2^14 + |bias|. Requantization per output channel, double rounding (SPEC.md). */
#include "qc_columns.h"

#include "qc_fixed_point.h"

static int32_t finish_any(int32_t sum, const qc_channel_t *channel, const qc_conv_params_t *p) {
  int32_t y = qc_requantize(sum, channel->multiplier, channel->shift) + p->output_zero_point;
  return qc_clamp(y, p->act_min, p->act_max);
}

#if !QC_DSP

QC_INLINE void store(int8_t *output, int32_t sum, const qc_channel_t *channel,
                     const qc_conv_params_t *p) {
  int32_t y;
  if (p->flags & QC_CONV_FAST) {
    y = qc_requantize_fast(sum, channel->multiplier, channel->shift) + p->output_zero_point;
    y = qc_clamp(y, p->act_min, p->act_max);
  } else {
    y = finish_any(sum, channel, p);
  }
  *output = (int8_t)y;
}

/* Four rows times one column. */
QC_HOT static void multiply_4x1(const int8_t *w, const int8_t *x, uint32_t k, int32_t sum[4]) {
  int32_t s0 = sum[0], s1 = sum[1], s2 = sum[2], s3 = sum[3];
  for (const int8_t *end = x + k; x != end; x += 4, w += 16) {
    for (int i = 0; i < 4; i++) {
      int32_t a = x[i];
      s0 += w[i] * a;
      s1 += w[i + 4] * a;
      s2 += w[i + 8] * a;
      s3 += w[i + 12] * a;
    }
  }
  sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3;
}

/* Four rows times four columns: sixteen accumulators, 2.5 instructions per product on RV32IM. */
QC_HOT static void multiply_4x4(const int8_t *w, const int8_t *const columns[4], uint32_t k,
                                int32_t sum[16]) {
  const int8_t *x0 = columns[0], *x1 = columns[1], *x2 = columns[2], *x3 = columns[3];
  int32_t s00 = sum[0], s01 = s00, s02 = s00, s03 = s00;
  int32_t s10 = sum[4], s11 = s10, s12 = s10, s13 = s10;
  int32_t s20 = sum[8], s21 = s20, s22 = s20, s23 = s20;
  int32_t s30 = sum[12], s31 = s30, s32 = s30, s33 = s30;
  for (const int8_t *end = x0 + k; x0 != end;) {
#define QC_STEP(i)                                                                                 \
  {                                                                                                \
    int32_t w0 = w[i], w1 = w[(i) + 4], w2 = w[(i) + 8], w3 = w[(i) + 12], x;                      \
    x = x0[i], s00 += w0 * x, s10 += w1 * x, s20 += w2 * x, s30 += w3 * x;                         \
    x = x1[i], s01 += w0 * x, s11 += w1 * x, s21 += w2 * x, s31 += w3 * x;                         \
    x = x2[i], s02 += w0 * x, s12 += w1 * x, s22 += w2 * x, s32 += w3 * x;                         \
    x = x3[i], s03 += w0 * x, s13 += w1 * x, s23 += w2 * x, s33 += w3 * x;                         \
  }
    QC_STEP(0)
    QC_STEP(1)
    QC_STEP(2)
    QC_STEP(3)
#undef QC_STEP
    w += 16;
    x0 += 4, x1 += 4, x2 += 4, x3 += 4;
  }
  sum[0] = s00, sum[1] = s01, sum[2] = s02, sum[3] = s03;
  sum[4] = s10, sum[5] = s11, sum[6] = s12, sum[7] = s13;
  sum[8] = s20, sum[9] = s21, sum[10] = s22, sum[11] = s23;
  sum[12] = s30, sum[13] = s31, sum[14] = s32, sum[15] = s33;
}

QC_HOT void qc_columns_multiply(const qc_conv_t *op, const int8_t *const columns[QC_COLUMNS],
                                uint32_t k, int32_t count, int8_t *output) {
  int32_t channels = op->out.c;
  const int8_t *w = op->weights;
  for (int32_t c = 0; c < channels; c += 4, w += 4 * k) {
    const qc_channel_t *channel = op->channels + c;
    int32_t rows = channels - c < 4 ? channels - c : 4;
    int32_t sum[16];
    if (count == QC_COLUMNS) {
      for (int r = 0; r < 4; r++) sum[4 * r] = channel[r].bias;
      multiply_4x4(w, columns, k, sum);
      for (int32_t r = 0; r < rows; r++)
        for (int32_t i = 0; i < 4; i++)
          store(output + i * channels + c + r, sum[4 * r + i], &channel[r], op->params);
    } else {
      for (int32_t i = 0; i < count; i++) {
        for (int r = 0; r < 4; r++) sum[r] = channel[r].bias;
        multiply_4x1(w, columns[i], k, sum);
        for (int32_t r = 0; r < rows; r++)
          store(output + i * channels + c + r, sum[r], &channel[r], op->params);
      }
    }
  }
}

#else

QC_INLINE void finish_row(int8_t *output, int32_t step, int32_t s0, int32_t s1, int32_t count,
                          const qc_channel_t *channel, const qc_conv_params_t *p) {
  if (p->flags & QC_CONV_FAST) {
    int32_t zero_point = p->output_zero_point;
    s0 = qc_saturate8(qc_requantize_fast(s0, channel->multiplier, channel->shift) + zero_point);
    s1 = qc_saturate8(qc_requantize_fast(s1, channel->multiplier, channel->shift) + zero_point);
    if (p->act_min > INT8_MIN || p->act_max < INT8_MAX) {
      s0 = qc_clamp(s0, p->act_min, p->act_max);
      s1 = qc_clamp(s1, p->act_min, p->act_max);
    }
  } else {
    s0 = finish_any(s0, channel, p);
    s1 = finish_any(s1, channel, p);
  }
  output[0] = (int8_t)s0;
  if (count > 1) output[step] = (int8_t)s1;
}

/* Two rows times two columns: 15 instructions for 16 products. */
QC_HOT static void multiply_2x2(const qc_conv_t *op, const int8_t *w, const uint8_t *x, uint32_t k,
                                const qc_channel_t *channel, int32_t rows, int8_t *output) {
  int32_t s00 = channel[0].bias, s01 = s00;
  int32_t s10 = channel[1].bias, s11 = s10;
  const uint8_t *end = x + 4 * k;
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
  for (const uint8_t *stop = end - (k & 15u) * 4; x != stop;) {
    QC_STEP QC_STEP QC_STEP QC_STEP
  }
  while (x != end) QC_STEP
#undef QC_STEP
  finish_row(output, op->out.c, s00, s01, 2, &channel[0], op->params);
  if (rows > 1) finish_row(output + 1, op->out.c, s10, s11, 2, &channel[1], op->params);
}

/* Four rows times one column: 19 instructions for 16 products. */
QC_HOT static void multiply_4x1(const qc_conv_t *op, const int8_t *w, const uint8_t *x, uint32_t k,
                                const qc_channel_t *channel, int32_t rows, int8_t *output) {
  int32_t s0 = channel[0].bias, s1 = channel[1].bias;
  int32_t s2 = channel[2].bias, s3 = channel[3].bias;
  const uint8_t *end = x + 2 * k;
#define QC_STEP                                                                                    \
  {                                                                                                \
    uint32_t a, b, x0, x1;                                                                         \
    QC_LOAD_PAIR(x0, x1, x, 8);                                                                    \
    QC_LOAD_PAIR(a, b, w, 8);                                                                      \
    s0 = qc_smlad(qc_even16(a), x0, s0), s0 = qc_smlad(qc_odd16(a), x1, s0);                       \
    s1 = qc_smlad(qc_even16(b), x0, s1), s1 = qc_smlad(qc_odd16(b), x1, s1);                       \
    QC_LOAD_PAIR(a, b, w, 8);                                                                      \
    s2 = qc_smlad(qc_even16(a), x0, s2), s2 = qc_smlad(qc_odd16(a), x1, s2);                       \
    s3 = qc_smlad(qc_even16(b), x0, s3), s3 = qc_smlad(qc_odd16(b), x1, s3);                       \
  }
  for (const uint8_t *stop = end - (k & 15u) * 2; x != stop;) {
    QC_STEP QC_STEP QC_STEP QC_STEP
  }
  while (x != end) QC_STEP
#undef QC_STEP
  finish_row(output, 1, s0, s0, 1, &channel[0], op->params);
  if (rows > 1) finish_row(output + 1, 1, s1, s1, 1, &channel[1], op->params);
  if (rows > 2) finish_row(output + 2, 1, s2, s2, 1, &channel[2], op->params);
  if (rows > 3) finish_row(output + 3, 1, s3, s3, 1, &channel[3], op->params);
}

QC_HOT void qc_columns_multiply(const qc_conv_t *op, const uint8_t *columns, uint32_t k,
                                int32_t count, int8_t *output) {
  int32_t channels = op->out.c;
  const int8_t *w = op->weights;
  for (int32_t c = 0; c < channels; c += 4, w += 4 * k) {
    const qc_channel_t *channel = op->channels + c;
    int32_t rows = channels - c;
    if (count == 1) {
      multiply_4x1(op, w, columns, k, channel, rows, output + c);
    } else {
      multiply_2x2(op, w, columns, k, channel, rows, output + c);
      if (rows > 2) multiply_2x2(op, w + 8, columns, k, channel + 2, rows - 2, output + c + 2);
    }
  }
}

#endif

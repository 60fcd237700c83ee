/* The matrix core of CONV_2D and FULLY_CONNECTED: packed weights times a few input columns.
 *
 * Weights are packed BLOCK4X4: [output channels / 4][K / 4][4 rows][4 k], padded with zeros.
 * A column holds the K inputs of one output pixel. With packed arithmetic up to two columns are
 * taken at a time, widened to int16: per four inputs the words (x0, x2) and (x1, x3), the two
 * columns interleaved. Otherwise up to four columns of int8 at a time, anywhere in memory. */
#ifndef QC_COLUMNS_H
#define QC_COLUMNS_H

#include "qc_kernels.h"
#include "qc_simd.h"

#if QC_DSP
enum { QC_COLUMNS = 2 };

/* Widens `quads` groups of four inputs; `step` is 8 for one column, 16 for two interleaved ones. */
QC_INLINE uint8_t *qc_widen(uint8_t *column, const int8_t *input, uint32_t quads, uint32_t step) {
  for (; quads > 0; quads--) {
    uint32_t word = qc_load32(input);
    qc_store32(column, qc_even16(word));
    qc_store32(column + 4, qc_odd16(word));
    column += step;
    input += 4;
  }
  return column;
}

/* The same for any number of inputs; what follows the last one in its group becomes 0. */
QC_INLINE uint8_t *qc_widen_run(uint8_t *column, const int8_t *input, uint32_t length,
                                uint32_t step) {
  column = qc_widen(column, input, length / 4, step);
  uint32_t rest = length & 3u;
  if (rest == 0) return column;
  input += length - rest;
  uint32_t word = (uint8_t)input[0];
  if (rest > 1) word |= (uint32_t)(uint8_t)input[1] << 8;
  if (rest > 2) word |= (uint32_t)(uint8_t)input[2] << 16;
  qc_store32(column, qc_even16(word));
  qc_store32(column + 4, qc_odd16(word));
  return column + step;
}

/* columns: one (stride 8) or two (stride 16) widened columns of k inputs, k a multiple of 4.
 * Writes op->out.c values per column, columns out.c apart. */
void qc_columns_multiply(const qc_conv_t *op, const uint8_t *columns, uint32_t k, int32_t count,
                         int8_t *output);
#else
enum { QC_COLUMNS = 4 };

void qc_columns_multiply(const qc_conv_t *op, const int8_t *const columns[QC_COLUMNS], uint32_t k,
                         int32_t count, int8_t *output);
#endif

/* Copies bytes without a call: runs are short and rarely aligned. */
QC_INLINE void qc_copy_run(int8_t *to, const int8_t *from, uint32_t bytes) {
  for (; bytes >= 4; bytes -= 4, to += 4, from += 4) qc_copy(to, from, 4);
  for (; bytes > 0; bytes--) *to++ = *from++;
}

#endif

/* The matrix core of CONV_2D and FULLY_CONNECTED: packed weights times a few input columns.
 *
 * Weights are packed BLOCK4X4: [output channels / 4][K / 4][4 rows][4 k], padded with zeros; or,
 * where the compiler proved that it is exact, PAIRED4X4: blocks of as many bytes, in which rows 0
 * and 1 and rows 2 and 3 share halfwords, 256 * odd + even. The even weight is the low byte; a
 * word, loaded once, serves two rows and two k.
 *
 * A column holds the K inputs of one output pixel; what its last `K - length` weights meet is not
 * read. Columns of int8 may lie anywhere in memory. With packed arithmetic they are taken one at a
 * time, or two widened to int16: per four inputs the words (x0, x2) and (x1, x3), the two columns
 * interleaved. Otherwise up to four at a time. */
#ifndef QC_COLUMNS_H
#define QC_COLUMNS_H

#include "qc_kernels.h"
#include "qc_simd.h"

#if QC_DSP
/* The last `rest` inputs (1 to 3) of a column as a word, zeros behind them. */
QC_INLINE uint32_t qc_load_rest(const int8_t *input, uint32_t rest) {
  uint32_t word = (uint8_t)input[0];
  if (rest > 1) word |= (uint32_t)(uint8_t)input[1] << 8;
  if (rest > 2) word |= (uint32_t)(uint8_t)input[2] << 16;
  return word;
}

/* Widens four inputs of one of two interleaved columns. */
QC_INLINE uint8_t *qc_widen(uint8_t *column, uint32_t word) {
  qc_store32(column, qc_even16(word));
  qc_store32(column + 4, qc_odd16(word));
  return column + 16;
}

/* The same for any number of inputs; what follows the last one in its group of four becomes 0. */
QC_INLINE uint8_t *qc_widen_run(uint8_t *column, const int8_t *input, uint32_t length) {
  for (; length >= 4; length -= 4, input += 4) column = qc_widen(column, qc_load32(input));
  return length == 0 ? column : qc_widen(column, qc_load_rest(input, length));
}

/* Both write op->out.c values per column, columns out.c apart. */
void qc_columns_multiply_1(const qc_conv_t *op, const int8_t *column, uint32_t length,
                           int8_t *output);
/* Two widened columns of k inputs, k a multiple of 4. */
void qc_columns_multiply_2(const qc_conv_t *op, const uint8_t *columns, uint32_t k, int8_t *output);
#else
enum { QC_COLUMNS = 4 };

/* Writes op->out.c values for each of `count` columns, columns out.c apart. */
void qc_columns_multiply(const qc_conv_t *op, const int8_t *const columns[QC_COLUMNS],
                         uint32_t length, int32_t count, int8_t *output);
#endif

/* Copies bytes without a call: runs are short and rarely aligned. */
QC_INLINE void qc_copy_run(int8_t *to, const int8_t *from, uint32_t bytes) {
  for (; bytes >= 4; bytes -= 4, to += 4, from += 4) qc_copy(to, from, 4);
  for (; bytes > 0; bytes--) *to++ = *from++;
}

#endif

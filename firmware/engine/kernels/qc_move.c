/* The copy behind PAD, CONCATENATION and SLICE: element by element, or in runs where both sides lie
 * together. */
#include "qc_move.h"

#include "qc_simd.h"

void qc_row_major(const qc_tensor_t *t, int32_t strides[QC_MAX_RANK]) {
  uint32_t step = 1;
  for (uint32_t i = t->rank; i-- > 0; step *= t->shape[i]) strides[i] = (int32_t)step;
}

QC_INLINE void copy_run(uint8_t *to, const uint8_t *from, uint32_t bytes) {
  if (bytes == 1)
    *to = *from;
  else if (bytes == 2)
    qc_copy(to, from, 2);
  else
    qc_copy(to, from, bytes);
}

void qc_move(const qc_move_t *move, const uint8_t *input, uint8_t *output) {
  uint32_t axes = move->rank, run = 1, index[QC_MAX_RANK] = {0};
  while (axes > 0 && move->from[axes - 1] == (int32_t)run && move->to[axes - 1] == (int32_t)run)
    run *= move->count[--axes];
  int32_t size = (int32_t)move->size;
  for (;;) {
    copy_run(output, input, run * move->size);
    uint32_t i = axes;
    /* Never beyond the last element: of an axis with one, no stride was checked. */
    while (i-- > 0) {
      if (++index[i] < move->count[i]) {
        input += move->from[i] * size;
        output += move->to[i] * size;
        break;
      }
      index[i] = 0;
      input -= (int32_t)(move->count[i] - 1) * move->from[i] * size;
      output -= (int32_t)(move->count[i] - 1) * move->to[i] * size;
    }
    if (i == UINT32_MAX) return;
  }
}

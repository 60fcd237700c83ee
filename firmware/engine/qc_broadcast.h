/* Walking through an output element by element, with the elements of its two inputs that belong
 * there: shapes broadcast as in NumPy. */
#ifndef QC_BROADCAST_H
#define QC_BROADCAST_H

#include "qc_image.h"

typedef struct {
  const qc_tensor_t *out;
  uint32_t strides[2][QC_MAX_RANK]; /* 0 where an input is repeated */
  uint32_t index[QC_MAX_RANK];
  uint32_t at[2]; /* elements of the inputs at the current output */
} qc_broadcast_t;

static inline qc_broadcast_t qc_broadcast(const qc_tensor_t *a, const qc_tensor_t *b,
                                          const qc_tensor_t *out) {
  qc_broadcast_t walk = {.out = out};
  for (int input = 0; input < 2; input++) {
    const qc_tensor_t *in = input ? b : a;
    uint32_t step = 1;
    for (uint32_t i = 0; i < in->rank; i++) {
      uint32_t dim = in->shape[in->rank - 1 - i];
      walk.strides[input][out->rank - 1 - i] = dim == 1 ? 0 : step;
      step *= dim;
    }
  }
  return walk;
}

static inline void qc_broadcast_next(qc_broadcast_t *walk) {
  for (uint32_t i = walk->out->rank; i-- > 0;) {
    walk->at[0] += walk->strides[0][i];
    walk->at[1] += walk->strides[1][i];
    if (++walk->index[i] < walk->out->shape[i]) return;
    walk->at[0] -= walk->strides[0][i] * walk->index[i];
    walk->at[1] -= walk->strides[1][i] * walk->index[i];
    walk->index[i] = 0;
  }
}

#endif

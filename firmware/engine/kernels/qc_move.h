/* Copying elements from one layout to another: what PAD, CONCATENATION and SLICE have in common. */
#ifndef QC_MOVE_H
#define QC_MOVE_H

#include "qc_image.h"

typedef struct {
  uint32_t rank;
  uint32_t size; /* bytes of an element */
  uint32_t count[QC_MAX_RANK];
  int32_t from[QC_MAX_RANK], to[QC_MAX_RANK]; /* elements from one position to the next */
} qc_move_t;

/* Elements from one position of a tensor to the next along each axis. */
void qc_row_major(const qc_tensor_t *t, int32_t strides[QC_MAX_RANK]);

/* Copies count[0] * count[1] * ... elements; inner axes that lie together on both sides go as one.
 */
void qc_move(const qc_move_t *move, const uint8_t *input, uint8_t *output);

#endif

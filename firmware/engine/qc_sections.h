/* An image with its sections found, and the way from an operator to its tensors. */
#ifndef QC_SECTIONS_H
#define QC_SECTIONS_H

#include "qc_image.h"

/* Valid after qc_image_open() returned QC_OK. */
typedef struct {
  const qc_image_header_t *header;
  const qc_tensor_t *tensors;
  const qc_operator_t *operators;
  const uint16_t *lists; /* graph inputs, graph outputs, states, then the operators' lists */
  const uint8_t *params;
  const uint8_t *constants;
} qc_image_t;

static inline const qc_tensor_t *qc_operator_input(const qc_image_t *image, const qc_operator_t *op,
                                                   uint32_t i) {
  return &image->tensors[image->lists[op->list + i]];
}

static inline const qc_tensor_t *qc_operator_output(const qc_image_t *image,
                                                    const qc_operator_t *op) {
  return &image->tensors[image->lists[op->list + op->inputs]];
}

#define QC_STATE_ENTRIES 3u /* of the lists: QC_TENSOR_BEFORE ... */

/* Tensor `which` (QC_TENSOR_BEFORE ...) of state `i`. */
static inline const qc_tensor_t *qc_state_tensor(const qc_image_t *image, uint32_t i,
                                                 uint32_t which) {
  uint32_t edges = (uint32_t)image->header->inputs + image->header->outputs;
  return &image->tensors[image->lists[edges + i * QC_STATE_ENTRIES + which]];
}

#endif

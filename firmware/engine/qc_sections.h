/* An image with its sections found, and the way from an operator to its tensors. */
#ifndef QC_SECTIONS_H
#define QC_SECTIONS_H

#include "qc_image.h"

/* Valid after qc_image_open() returned QC_OK. */
typedef struct {
  const qc_image_header_t *header;
  const qc_tensor_t *tensors;
  const qc_operator_t *operators;
  const uint16_t *lists; /* graph inputs, graph outputs, then the operators' lists */
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

#endif

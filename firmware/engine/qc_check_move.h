/* The checks of what moves elements to other positions. */
#ifndef QC_CHECK_MOVE_H
#define QC_CHECK_MOVE_H

#include "qc_sections.h"

/* PAD, RESHAPE, CONCATENATION, SLICE, RESIZE. */
qc_status_t qc_check_pad(const qc_pad_params_t *p, const qc_tensor_t *in, const qc_tensor_t *out);
qc_status_t qc_check_reshape(const qc_tensor_t *in, const qc_tensor_t *out);
qc_status_t qc_check_concatenation(const qc_image_t *image, const qc_operator_t *op,
                                   const qc_concatenation_params_t *p, const qc_tensor_t *out);
qc_status_t qc_check_slice(const qc_slice_params_t *p, const qc_tensor_t *in,
                           const qc_tensor_t *out);
qc_status_t qc_check_resize(const qc_image_t *image, const qc_resize_params_t *p,
                            const qc_tensor_t *in, const qc_tensor_t *out);

#endif

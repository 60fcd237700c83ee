/* The checks of what works element by element, on one input or two. */
#ifndef QC_CHECK_ELEMENTWISE_H
#define QC_CHECK_ELEMENTWISE_H

#include "qc_sections.h"

/* ADD, SUB, SQUARED_DIFFERENCE, MUL, MINIMUM, MAXIMUM, PRELU. */
qc_status_t qc_check_elementwise(const qc_image_t *image, const qc_operator_t *op, const void *p,
                                 const qc_tensor_t *out);
/* RESCALE, TABLE, SIGMOID_INT16. */
qc_status_t qc_check_rescale(const qc_rescale_params_t *p, const qc_tensor_t *in,
                             const qc_tensor_t *out);
qc_status_t qc_check_lookup(const qc_image_t *image, const qc_table_params_t *p,
                            const qc_tensor_t *in, const qc_tensor_t *out);
qc_status_t qc_check_sigmoid(const qc_image_t *image, const qc_sigmoid_params_t *p,
                             const qc_tensor_t *in, const qc_tensor_t *out);
/* QUANTIZE with QC_HALF_EVEN among the flags that its scale may have, DEQUANTIZE. */
qc_status_t qc_check_float_edge(const qc_float_edge_params_t *p, const qc_tensor_t *real,
                                const qc_tensor_t *quantized, uint32_t flags);

#endif

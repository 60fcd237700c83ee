/* The checks of what sums products: convolutions, dense layers, matrix products. */
#ifndef QC_CHECK_PRODUCTS_H
#define QC_CHECK_PRODUCTS_H

#include "qc_sections.h"

/* CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED of int16. */
qc_status_t qc_check_wide_conv(const qc_image_t *image, const qc_operator_t *op,
                               const qc_conv_params_t *p, const qc_tensor_t *in,
                               const qc_tensor_t *out);
/* CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV, FULLY_CONNECTED of int8. */
qc_status_t qc_check_conv2d(const qc_image_t *image, const qc_operator_t *op,
                            const qc_conv_params_t *p, const qc_tensor_t *in,
                            const qc_tensor_t *out);
qc_status_t qc_check_depthwise(const qc_image_t *image, const qc_operator_t *op,
                               const qc_conv_params_t *p, const qc_tensor_t *in,
                               const qc_tensor_t *out);
qc_status_t qc_check_transpose_conv(const qc_image_t *image, const qc_conv_params_t *p,
                                    const qc_tensor_t *in, const qc_tensor_t *out);
qc_status_t qc_check_fully_connected(const qc_image_t *image, const qc_operator_t *op,
                                     const qc_conv_params_t *p, const qc_tensor_t *in,
                                     const qc_tensor_t *out);
/* BATCH_MATMUL. */
qc_status_t qc_check_matmul(const qc_matmul_params_t *p, const qc_tensor_t *a, const qc_tensor_t *b,
                            const qc_tensor_t *out);

#endif

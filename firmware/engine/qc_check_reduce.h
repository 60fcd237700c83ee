/* The checks of what makes one of many values: pools, means, and softmax with its sums. */
#ifndef QC_CHECK_REDUCE_H
#define QC_CHECK_REDUCE_H

#include "qc_sections.h"

/* AVERAGE_POOL_2D and MAX_POOL_2D, MEAN, ARG_MAX, L2_NORMALIZATION, SOFTMAX, SOFTMAX_INT16. */
qc_status_t qc_check_pool(const qc_pool_params_t *p, const qc_tensor_t *in, const qc_tensor_t *out);
qc_status_t qc_check_mean(const qc_mean_params_t *p, const qc_tensor_t *in, const qc_tensor_t *out);
qc_status_t qc_check_arg_max(const qc_arg_max_params_t *p, const qc_tensor_t *in,
                             const qc_tensor_t *out);
qc_status_t qc_check_l2_normalization(const qc_l2_params_t *p, const qc_tensor_t *in,
                                      const qc_tensor_t *out);
qc_status_t qc_check_softmax(const qc_softmax_params_t *p, const qc_tensor_t *in,
                             const qc_tensor_t *out);
qc_status_t qc_check_wide_softmax(const qc_image_t *image, const qc_wide_softmax_params_t *p,
                                  const qc_tensor_t *in, const qc_tensor_t *out);

#endif

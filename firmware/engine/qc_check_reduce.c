/* Operators that make one of many values: what their kernels rely on, nothing less. */
#include "qc_check_reduce.h"

#include "qc_check_rules.h"
#include "qc_layout.h"

/* How many values a 32-bit sum holds. */
static uint32_t sum_limit(const qc_tensor_t *t) {
  return t->dtype == QC_INT16 ? QC_INT16_SUM : QC_INT8_SUM;
}

/* Every output of a pool must see at least one cell of the input. */
static int axis_is_covered(uint32_t kernel, uint32_t stride, uint32_t pad, uint32_t in,
                           uint32_t out) {
  return pad < kernel && (uint64_t)(out - 1) * stride < (uint64_t)pad + in;
}

qc_status_t qc_check_pool(const qc_pool_params_t *p, const qc_tensor_t *in,
                          const qc_tensor_t *out) {
  const qc_window_t *w = &p->window;
  QC_REQUIRE(qc_are_activations(in, out), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(in->rank == 4 && out->rank == 4, QC_ERR_SHAPE);
  QC_REQUIRE(in->shape[0] == out->shape[0] && in->shape[3] == out->shape[3], QC_ERR_SHAPE);
  QC_REQUIRE(qc_window_fits(w, out) && w->dilation_h == 1 && w->dilation_w == 1, QC_ERR_PARAM);
  QC_REQUIRE((uint32_t)w->kernel_h * w->kernel_w < sum_limit(in), QC_ERR_SIZE);
  QC_REQUIRE(axis_is_covered(w->kernel_h, w->stride_h, w->pad_top, in->shape[1], out->shape[1]),
             QC_ERR_SHAPE);
  QC_REQUIRE(axis_is_covered(w->kernel_w, w->stride_w, w->pad_left, in->shape[2], out->shape[2]),
             QC_ERR_SHAPE);
  QC_REQUIRE(qc_range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
  return QC_OK;
}

qc_status_t qc_check_mean(const qc_mean_params_t *p, const qc_tensor_t *in,
                          const qc_tensor_t *out) {
  QC_REQUIRE(qc_are_activations(in, out), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(p->axes >> in->rank == 0, QC_ERR_PARAM);
  uint32_t count = 1;
  for (uint32_t i = 0; i < in->rank; i++)
    if (p->axes >> i & 1u) count *= in->shape[i];
  QC_REQUIRE(in->bytes / count == out->bytes, QC_ERR_SHAPE);
  QC_REQUIRE(count < sum_limit(in), QC_ERR_SIZE);
  QC_REQUIRE(qc_zero_point_fits(in, p->input_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_multiplier_fits(p->multiplier, p->shift), QC_ERR_PARAM);
  return QC_OK;
}

qc_status_t qc_check_arg_max(const qc_arg_max_params_t *p, const qc_tensor_t *in,
                             const qc_tensor_t *out) {
  QC_REQUIRE(in->dtype == QC_INT8 && out->dtype == QC_INT32, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(in->rank == 3 && out->rank == 2, QC_ERR_SHAPE);
  QC_REQUIRE(in->shape[0] == out->shape[0] && in->shape[2] == out->shape[1], QC_ERR_SHAPE);
  QC_REQUIRE((p->flags & ~(uint32_t)QC_ARG_SMALLEST) == 0, QC_ERR_PARAM);
  return QC_OK;
}

qc_status_t qc_check_l2_normalization(const qc_l2_params_t *p, const qc_tensor_t *in,
                                      const qc_tensor_t *out) {
  QC_REQUIRE(in->dtype == QC_INT8 && out->dtype == QC_INT8, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(in->rank > 0 && qc_same_shape(in, out), QC_ERR_SHAPE);
  QC_REQUIRE(in->shape[in->rank - 1] < QC_L2_VALUES, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(qc_zero_point_fits(in, p->input_zero_point), QC_ERR_PARAM);
  return QC_OK;
}

qc_status_t qc_check_softmax(const qc_softmax_params_t *p, const qc_tensor_t *in,
                             const qc_tensor_t *out) {
  QC_REQUIRE(in->dtype == QC_INT8, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(out->dtype == QC_INT8 || out->dtype == QC_INT16, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(in->rank > 0 && qc_same_shape(in, out), QC_ERR_SHAPE);
  QC_REQUIRE(in->shape[in->rank - 1] < QC_SOFTMAX_VALUES, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(p->multiplier >= 0 && p->left_shift <= QC_SOFTMAX_LEFT_SHIFT, QC_ERR_PARAM);
  QC_REQUIRE(p->diff_min <= 0, QC_ERR_PARAM);
  return QC_OK;
}

/* No value of the exponential is negative, and that of 0 is at least 2: sums have a reciprocal. */
static int exponentials_fit(const int16_t *table) {
  for (uint32_t i = 0; i < QC_INTERPOLATED_ENTRIES; i++)
    if (table[i] < (i + 2 < QC_INTERPOLATED_ENTRIES ? 0 : 2)) return 0;
  return 1;
}

qc_status_t qc_check_wide_softmax(const qc_image_t *image, const qc_wide_softmax_params_t *p,
                                  const qc_tensor_t *in, const qc_tensor_t *out) {
  const uint32_t bytes = QC_INTERPOLATED_ENTRIES * (uint32_t)sizeof(int16_t);
  QC_REQUIRE(in->dtype == QC_INT16 && out->dtype == QC_INT16, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(in->rank > 0 && qc_same_shape(in, out), QC_ERR_SHAPE);
  QC_REQUIRE(in->shape[in->rank - 1] < QC_WIDE_SOFTMAX_VALUES, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(qc_multiplier_fits(p->multiplier, p->shift), QC_ERR_PARAM);
  qc_status_t status = qc_check_table(image, p->exponentials_offset, bytes);
  if (status == QC_OK) status = qc_check_table(image, p->reciprocals_offset, bytes);
  if (status != QC_OK) return status;
  const int16_t *table = (const void *)(image->constants + p->exponentials_offset);
  return exponentials_fit(table) ? QC_OK : QC_ERR_PARAM;
}

#include "qc_check_rules.h"

int qc_is_byte(const qc_tensor_t *t) {
  return t->dtype == QC_INT8 || t->dtype == QC_UINT8;
}

int qc_is_integer(const qc_tensor_t *t) {
  return qc_is_byte(t) || t->dtype == QC_INT16;
}

int qc_are_activations(const qc_tensor_t *in, const qc_tensor_t *out) {
  return (in->dtype == QC_INT8 || in->dtype == QC_INT16) && in->dtype == out->dtype;
}

int qc_value_fits(const qc_tensor_t *t, int32_t value) {
  if (t->dtype == QC_INT16) return qc_within(value, INT16_MIN, INT16_MAX);
  return t->dtype == QC_UINT8 ? qc_within(value, 0, 255) : qc_within(value, -128, 127);
}

int qc_zero_point_fits(const qc_tensor_t *t, int32_t zero_point) {
  return t->dtype == QC_INT16 ? zero_point == 0 : qc_value_fits(t, zero_point);
}

int qc_range_fits(const qc_tensor_t *t, int32_t low, int32_t high) {
  return low <= high && qc_value_fits(t, low) && qc_value_fits(t, high);
}

/* A divisor and a shift of one of the rules of powers of two. */
static int ratio_fits(int32_t divisor, int32_t shift) {
  static const int32_t rules[] = {QC_HALF_UP_SHIFT, QC_HALF_EVEN_SHIFT, QC_FLOOR_SHIFT};
  for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
    int32_t least = divisor == 1 ? QC_RATIO_SHIFT_MIN : QC_SHIFT_MIN;
    if (qc_within(shift, rules[i] + least, rules[i] + QC_SHIFT_MAX)) return divisor >= 1;
  }
  return 0;
}

int qc_divisor_fits(int32_t divisor, int32_t shift) {
  return divisor == 1 && ratio_fits(divisor, shift);
}

int qc_multiplier_fits(int32_t multiplier, int32_t shift) {
  if (multiplier < 0 || qc_within(shift, QC_SHIFT_MIN, QC_SHIFT_MAX)) return multiplier >= 0;
  int even = qc_within(shift, QC_FLOAT_SHIFT + QC_SHIFT_MIN, QC_FLOAT_SHIFT + QC_SHIFT_MAX);
  int odd = qc_within(shift, QC_FLOAT_ODD_SHIFT + QC_SHIFT_MIN, QC_FLOAT_ODD_SHIFT + QC_SHIFT_MAX);
  return ((even || odd) && (multiplier & 0x7f) == 0) || ratio_fits(multiplier, shift);
}

int qc_window_fits(const qc_window_t *w, const qc_tensor_t *out) {
  const int64_t limit = QC_WINDOW_LIMIT;
  return w->kernel_h > 0 && w->kernel_w > 0 && w->stride_h > 0 && w->stride_w > 0 &&
         w->dilation_h > 0 && w->dilation_w > 0 &&
         (int64_t)(out->shape[1] - 1) * w->stride_h + (int64_t)w->kernel_h * w->dilation_h <=
             limit &&
         (int64_t)(out->shape[2] - 1) * w->stride_w + (int64_t)w->kernel_w * w->dilation_w <= limit;
}

int qc_broadcasts(const qc_tensor_t *in, const qc_tensor_t *out) {
  if (in->rank > out->rank) return 0;
  for (uint32_t i = 0; i < in->rank; i++) {
    uint32_t dim = in->shape[in->rank - 1 - i];
    if (dim != 1 && dim != out->shape[out->rank - 1 - i]) return 0;
  }
  return 1;
}

qc_status_t qc_check_table(const qc_image_t *image, uint32_t offset, uint32_t bytes) {
  QC_REQUIRE(offset % 16 == 0, QC_ERR_ALIGN);
  QC_REQUIRE((uint64_t)offset + bytes <= image->header->constants_bytes, QC_ERR_BOUNDS);
  return QC_OK;
}

#include "qc_check_lstm.h"

#include "qc_check_rules.h"

/* A multiplier and a shift of a gate's sums. */
static int gate_fits(int wide, int32_t multiplier, int32_t shift) {
  if (!wide) return qc_multiplier_fits(multiplier, shift);
  return qc_within(multiplier, 0, INT16_MAX) &&
         qc_within(shift, QC_WIDE_SHIFT_MIN, QC_WIDE_SHIFT_MAX);
}

static qc_status_t check_rules(const qc_lstm_params_t *p, const qc_tensor_t *out) {
  int wide = out->dtype == QC_INT16;
  for (uint32_t i = 0; i < QC_GATES; i++) {
    QC_REQUIRE(gate_fits(wide, p->input_multiplier[i], p->input_shift[i]), QC_ERR_PARAM);
    QC_REQUIRE(gate_fits(wide, p->hidden_multiplier[i], p->hidden_shift[i]), QC_ERR_PARAM);
  }
  QC_REQUIRE(qc_multiplier_fits(p->forget_multiplier, p->forget_shift), QC_ERR_PARAM);
  QC_REQUIRE(qc_multiplier_fits(p->update_multiplier, p->update_shift), QC_ERR_PARAM);
  QC_REQUIRE(qc_multiplier_fits(p->output_multiplier, p->output_shift), QC_ERR_PARAM);
  QC_REQUIRE(qc_within(p->tanh_multiplier, 0, INT16_MAX), QC_ERR_PARAM);
  QC_REQUIRE(qc_within(p->tanh_shift, 0, QC_SIGMOID_SHIFT_MAX), QC_ERR_PARAM);
  QC_REQUIRE(p->cell_min <= p->cell_max, QC_ERR_PARAM);
  QC_REQUIRE(p->cell_min >= INT16_MIN && p->cell_max <= INT16_MAX, QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(out, p->hidden_zero_point), QC_ERR_PARAM);
  return QC_OK;
}

/* Sums of int16 activations have 48 bits. */
static qc_status_t check_wide_biases(const qc_image_t *image, const qc_lstm_params_t *p,
                                     uint64_t count) {
  const int64_t *bias = (const void *)(image->constants + p->biases_offset);
  for (uint64_t i = 0; i < count; i++)
    QC_REQUIRE(qc_within(bias[i], -QC_WIDE_BIAS, QC_WIDE_BIAS), QC_ERR_PARAM);
  return QC_OK;
}

qc_status_t qc_check_lstm(const qc_image_t *image, const qc_operator_t *op,
                          const qc_lstm_params_t *p, const qc_tensor_t *in,
                          const qc_tensor_t *out) {
  QC_REQUIRE(qc_are_activations(in, out), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(in->rank == 3 && out->rank == 3, QC_ERR_SHAPE);
  QC_REQUIRE(in->shape[0] == out->shape[0] && in->shape[1] == out->shape[1], QC_ERR_SHAPE);
  QC_REQUIRE(in->shape[0] == 1 || in->shape[1] == 1, QC_ERR_SHAPE);
  const uint64_t features = in->shape[2], units = out->shape[2];
  QC_REQUIRE(features < QC_PRODUCTS && units < QC_PRODUCTS, QC_ERR_SIZE);
  QC_REQUIRE(p->weights_bytes == QC_GATES * units * (features + units), QC_ERR_SIZE);
  QC_REQUIRE(op->scratch_bytes >= units * sizeof(int16_t), QC_ERR_SIZE);
  qc_status_t status = check_rules(p, out);
  if (status != QC_OK) return status;
  const uint64_t biases = 2u * QC_GATES * units;
  const uint64_t bias_bytes = biases * (out->dtype == QC_INT16 ? sizeof(int64_t) : sizeof(int32_t));
  QC_REQUIRE(bias_bytes <= UINT32_MAX, QC_ERR_SIZE);
  status = qc_check_table(image, p->weights_offset, p->weights_bytes);
  if (status == QC_OK) status = qc_check_table(image, p->biases_offset, (uint32_t)bias_bytes);
  if (status == QC_OK)
    status =
        qc_check_table(image, p->table_offset, QC_SIGMOID_ENTRIES * (uint32_t)sizeof(uint16_t));
  if (status != QC_OK || out->dtype != QC_INT16) return status;
  return check_wide_biases(image, p, biases);
}

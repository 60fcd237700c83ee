/* Operators that work element by element: what their kernels rely on, nothing less. */
#include "qc_check_elementwise.h"

#include "qc_check_rules.h"
#include "qc_layout.h"

/* Two inputs of one type that broadcast to the output. */
static qc_status_t check_pair(const qc_tensor_t *a, const qc_tensor_t *b, const qc_tensor_t *out) {
  QC_REQUIRE(qc_are_activations(a, out) && b->dtype == a->dtype, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(qc_broadcasts(a, out) && qc_broadcasts(b, out), QC_ERR_SHAPE);
  return QC_OK;
}

static qc_status_t check_add(const qc_operator_t *op, const qc_add_params_t *p,
                             const qc_tensor_t *a, const qc_tensor_t *b, const qc_tensor_t *out) {
  QC_REQUIRE(p->left_shift <= QC_ADD_LEFT_SHIFT, QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(a, p->input1_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(b, p->input2_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
  QC_REQUIRE(qc_multiplier_fits(p->input1_multiplier, p->input1_shift), QC_ERR_PARAM);
  QC_REQUIRE(qc_multiplier_fits(p->input2_multiplier, p->input2_shift), QC_ERR_PARAM);
  QC_REQUIRE(p->input1_shift <= 0 && p->input2_shift <= 0, QC_ERR_PARAM);
  QC_REQUIRE(qc_multiplier_fits(p->output_multiplier, p->output_shift), QC_ERR_PARAM);
  QC_REQUIRE(op->opcode == QC_OP_SQUARED_DIFFERENCE || !qc_add_has_tables(p, a, b, out) ||
                 op->scratch_bytes >= QC_ADD_TABLE_BYTES,
             QC_ERR_SIZE);
  return QC_OK;
}

static qc_status_t check_mul(const qc_mul_params_t *p, const qc_tensor_t *a, const qc_tensor_t *b,
                             const qc_tensor_t *out) {
  QC_REQUIRE(qc_zero_point_fits(a, p->input1_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(b, p->input2_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
  QC_REQUIRE(qc_multiplier_fits(p->multiplier, p->shift), QC_ERR_PARAM);
  return QC_OK;
}

static qc_status_t check_prelu(const qc_prelu_params_t *p, const qc_tensor_t *x,
                               const qc_tensor_t *slope, const qc_tensor_t *out) {
  QC_REQUIRE(qc_zero_point_fits(x, p->input_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(slope, p->slope_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_multiplier_fits(p->identity_multiplier, p->identity_shift), QC_ERR_PARAM);
  QC_REQUIRE(qc_multiplier_fits(p->slope_multiplier, p->slope_shift), QC_ERR_PARAM);
  return QC_OK;
}

/* Operators with two inputs. */
qc_status_t qc_check_elementwise(const qc_image_t *image, const qc_operator_t *op, const void *p,
                                 const qc_tensor_t *out) {
  const qc_tensor_t *a = qc_operator_input(image, op, 0), *b = qc_operator_input(image, op, 1);
  qc_status_t status = check_pair(a, b, out);
  if (status != QC_OK) return status;
  switch (op->opcode) {
  case QC_OP_ADD:
  case QC_OP_SUB:
  case QC_OP_SQUARED_DIFFERENCE:
    return check_add(op, p, a, b, out);
  case QC_OP_MUL:
    return check_mul(p, a, b, out);
  case QC_OP_PRELU:
    return check_prelu(p, a, b, out);
  default: /* MINIMUM and MAXIMUM have no parameters */
    return QC_OK;
  }
}

qc_status_t qc_check_lookup(const qc_image_t *image, const qc_table_params_t *p,
                            const qc_tensor_t *in, const qc_tensor_t *out) {
  QC_REQUIRE(qc_is_byte(in) && qc_is_byte(out), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(qc_same_shape(in, out), QC_ERR_SHAPE);
  return qc_check_table(image, p->table_offset, QC_TABLE_BYTES);
}

qc_status_t qc_check_sigmoid(const qc_image_t *image, const qc_sigmoid_params_t *p,
                             const qc_tensor_t *in, const qc_tensor_t *out) {
  QC_REQUIRE(in->dtype == QC_INT16 && out->dtype == QC_INT16, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(qc_same_shape(in, out), QC_ERR_SHAPE);
  QC_REQUIRE(qc_within(p->multiplier, 0, INT16_MAX) && qc_within(p->shift, 0, QC_SIGMOID_SHIFT_MAX),
             QC_ERR_PARAM);
  QC_REQUIRE(p->function <= QC_TANH, QC_ERR_PARAM);
  return qc_check_table(image, p->table_offset, QC_SIGMOID_ENTRIES * (uint32_t)sizeof(uint16_t));
}

qc_status_t qc_check_rescale(const qc_rescale_params_t *p, const qc_tensor_t *in,
                             const qc_tensor_t *out) {
  QC_REQUIRE(qc_is_integer(in) && qc_is_integer(out), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(!qc_is_byte(in) || !qc_is_byte(out), QC_ERR_UNSUPPORTED); /* that is TABLE */
  QC_REQUIRE(qc_same_shape(in, out), QC_ERR_SHAPE);
  QC_REQUIRE(qc_zero_point_fits(in, p->input_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
  QC_REQUIRE(qc_multiplier_fits(p->multiplier, p->shift), QC_ERR_PARAM);
  QC_REQUIRE((p->flags & ~(uint32_t)QC_RESCALE_MULTIPLY) == 0, QC_ERR_PARAM);
  return QC_OK;
}

qc_status_t qc_check_float_edge(const qc_float_edge_params_t *p, const qc_tensor_t *real,
                                const qc_tensor_t *quantized, uint32_t flags) {
  QC_REQUIRE(real->dtype == QC_FLOAT32 && qc_is_integer(quantized), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(qc_same_shape(real, quantized), QC_ERR_SHAPE);
  QC_REQUIRE(qc_zero_point_fits(quantized, p->zero_point), QC_ERR_PARAM);
  uint32_t scale = p->scale & ~flags; /* positive and finite */
  QC_REQUIRE(scale > 0 && scale < 0x7f800000u, QC_ERR_PARAM);
  return QC_OK;
}

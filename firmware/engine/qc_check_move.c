/* Operators that move elements: what their kernels rely on, nothing less. */
#include "qc_check_move.h"

#include "qc_check_rules.h"
#include "qc_layout.h"

qc_status_t qc_check_pad(const qc_pad_params_t *p, const qc_tensor_t *in, const qc_tensor_t *out) {
  QC_REQUIRE(qc_is_integer(in) && in->dtype == out->dtype, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(in->rank == out->rank && in->rank > 0, QC_ERR_SHAPE);
  for (uint32_t i = 0; i < in->rank; i++)
    QC_REQUIRE((uint64_t)p->before[i] + in->shape[i] <= out->shape[i], QC_ERR_SHAPE);
  for (uint32_t i = in->rank; i < QC_MAX_RANK; i++) QC_REQUIRE(p->before[i] == 0, QC_ERR_PARAM);
  QC_REQUIRE(qc_value_fits(out, p->value), QC_ERR_PARAM);
  return QC_OK;
}

/* Nothing moves: the output is where the input is. */
qc_status_t qc_check_reshape(const qc_tensor_t *in, const qc_tensor_t *out) {
  QC_REQUIRE(in->dtype == out->dtype && in->bytes == out->bytes, QC_ERR_SHAPE);
  QC_REQUIRE(in->place == QC_PLACE_ARENA && in->offset == out->offset, QC_ERR_BOUNDS);
  return QC_OK;
}

qc_status_t qc_check_concatenation(const qc_image_t *image, const qc_operator_t *op,
                                   const qc_concatenation_params_t *p, const qc_tensor_t *out) {
  QC_REQUIRE(qc_are_activations(out, out), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(p->axis < out->rank, QC_ERR_PARAM);
  QC_REQUIRE(qc_range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
  uint64_t length = 0;
  for (uint32_t i = 0; i < op->inputs; i++) {
    const qc_tensor_t *in = qc_operator_input(image, op, i);
    QC_REQUIRE(in->dtype == out->dtype, QC_ERR_UNSUPPORTED);
    QC_REQUIRE(in->rank == out->rank, QC_ERR_SHAPE);
    for (uint32_t axis = 0; axis < out->rank; axis++)
      QC_REQUIRE(axis == p->axis || in->shape[axis] == out->shape[axis], QC_ERR_SHAPE);
    length += in->shape[p->axis];
  }
  QC_REQUIRE(length == out->shape[p->axis], QC_ERR_SHAPE);
  return QC_OK;
}

qc_status_t qc_check_slice(const qc_slice_params_t *p, const qc_tensor_t *in,
                           const qc_tensor_t *out) {
  QC_REQUIRE(qc_is_integer(in) && in->dtype == out->dtype, QC_ERR_UNSUPPORTED);
  int64_t first = p->offset, last = p->offset; /* of the elements that are read */
  for (uint32_t i = 0; i < QC_MAX_RANK; i++) {
    QC_REQUIRE(i < out->rank || p->strides[i] == 0, QC_ERR_PARAM);
    int64_t reach = i < out->rank ? (int64_t)(out->shape[i] - 1) * p->strides[i] : 0;
    QC_REQUIRE(qc_within(reach, -INT32_MAX, INT32_MAX), QC_ERR_PARAM);
    first += reach < 0 ? reach : 0;
    last += reach > 0 ? reach : 0;
  }
  QC_REQUIRE(first >= 0 && last < qc_elements(in), QC_ERR_PARAM);
  return QC_OK;
}

/* Where the positions of a resized axis lie in the input. */
static qc_status_t check_positions(const qc_image_t *image, uint32_t offset, uint32_t count,
                                   const qc_tensor_t *in, uint32_t size) {
  QC_REQUIRE(count <= UINT16_MAX, QC_ERR_SIZE);
  qc_status_t status = qc_check_table(image, offset, count * (uint32_t)sizeof(qc_position_t));
  if (status != QC_OK) return status;
  const qc_position_t *at = (const void *)(image->constants + offset);
  for (uint32_t i = 0; i < count; i++) {
    QC_REQUIRE(at[i].weight < QC_RESIZE_STEPS && (at[i].weight == 0 || in->dtype == QC_INT8),
               QC_ERR_PARAM);
    QC_REQUIRE(at[i].lower + (at[i].weight > 0 ? 1u : 0u) < size, QC_ERR_PARAM);
  }
  return QC_OK;
}

qc_status_t qc_check_resize(const qc_image_t *image, const qc_resize_params_t *p,
                            const qc_tensor_t *in, const qc_tensor_t *out) {
  QC_REQUIRE(qc_are_activations(in, out), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(in->rank == 4 && out->rank == 4, QC_ERR_SHAPE);
  QC_REQUIRE(in->shape[0] == out->shape[0] && in->shape[3] == out->shape[3], QC_ERR_SHAPE);
  qc_status_t status = check_positions(image, p->rows_offset, out->shape[1], in, in->shape[1]);
  if (status != QC_OK) return status;
  return check_positions(image, p->columns_offset, out->shape[2], in, in->shape[2]);
}

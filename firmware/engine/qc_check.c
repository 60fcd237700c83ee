/* One operator of any opcode: which facts hold, and which check is its own. */
#include "qc_check.h"

#include "qc_check_elementwise.h"
#include "qc_check_lstm.h"
#include "qc_check_move.h"
#include "qc_check_products.h"
#include "qc_check_reduce.h"

const qc_opcode_facts_t *qc_opcode_facts(uint8_t opcode) {
  static const qc_opcode_facts_t facts[] = {
      [QC_OP_CONV_2D] = {sizeof(qc_conv_params_t), 1, 0},
      [QC_OP_DEPTHWISE_CONV_2D] = {sizeof(qc_conv_params_t), 1, 0},
      [QC_OP_FULLY_CONNECTED] = {sizeof(qc_conv_params_t), 1, 0},
      [QC_OP_ADD] = {sizeof(qc_add_params_t), 2, 1},
      [QC_OP_AVERAGE_POOL_2D] = {sizeof(qc_pool_params_t), 1, 0},
      [QC_OP_MAX_POOL_2D] = {sizeof(qc_pool_params_t), 1, 0},
      [QC_OP_MEAN] = {sizeof(qc_mean_params_t), 1, 0},
      [QC_OP_PAD] = {sizeof(qc_pad_params_t), 1, 0},
      [QC_OP_RESHAPE] = {0, 1, 1},
      [QC_OP_CONCATENATION] = {sizeof(qc_concatenation_params_t), 0, 0},
      [QC_OP_SOFTMAX] = {sizeof(qc_softmax_params_t), 1, 1},
      [QC_OP_RESCALE] = {sizeof(qc_rescale_params_t), 1, 1},
      [QC_OP_QUANTIZE] = {sizeof(qc_float_edge_params_t), 1, 0},
      [QC_OP_DEQUANTIZE] = {sizeof(qc_float_edge_params_t), 1, 0},
      [QC_OP_MUL] = {sizeof(qc_mul_params_t), 2, 1},
      [QC_OP_TABLE] = {sizeof(qc_table_params_t), 1, 1},
      [QC_OP_SOFTMAX_INT16] = {sizeof(qc_wide_softmax_params_t), 1, 1},
      [QC_OP_SIGMOID_INT16] = {sizeof(qc_sigmoid_params_t), 1, 1},
      [QC_OP_SUB] = {sizeof(qc_add_params_t), 2, 1},
      [QC_OP_MINIMUM] = {0, 2, 1},
      [QC_OP_MAXIMUM] = {0, 2, 1},
      [QC_OP_PRELU] = {sizeof(qc_prelu_params_t), 2, 1},
      [QC_OP_SLICE] = {sizeof(qc_slice_params_t), 1, 0},
      [QC_OP_RESIZE] = {sizeof(qc_resize_params_t), 1, 0},
      [QC_OP_BATCH_MATMUL] = {sizeof(qc_matmul_params_t), 2, 0},
      [QC_OP_TRANSPOSE_CONV] = {sizeof(qc_conv_params_t), 1, 0},
      [QC_OP_SQUARED_DIFFERENCE] = {sizeof(qc_add_params_t), 2, 1},
      [QC_OP_ARG_MAX] = {sizeof(qc_arg_max_params_t), 1, 0},
      [QC_OP_L2_NORMALIZATION] = {sizeof(qc_l2_params_t), 1, 0},
      [QC_OP_LSTM] = {sizeof(qc_lstm_params_t), 1, 0},
  };
  return opcode > 0 && opcode < sizeof(facts) / sizeof(facts[0]) ? &facts[opcode] : NULL;
}

static qc_status_t check_move(const qc_image_t *image, const qc_operator_t *op, const void *p,
                              const qc_tensor_t *in, const qc_tensor_t *out) {
  switch (op->opcode) {
  case QC_OP_PAD:
    return qc_check_pad(p, in, out);
  case QC_OP_RESHAPE:
    return qc_check_reshape(in, out);
  case QC_OP_CONCATENATION:
    return qc_check_concatenation(image, op, p, out);
  case QC_OP_SLICE:
    return qc_check_slice(p, in, out);
  default:
    return qc_check_resize(image, p, in, out);
  }
}

qc_status_t qc_operator_check(const qc_image_t *image, const qc_operator_t *op) {
  const void *p = image->params + op->params_offset;
  const qc_tensor_t *in = qc_operator_input(image, op, 0), *out = qc_operator_output(image, op);
  if (in->dtype == QC_INT16 && op->opcode <= QC_OP_FULLY_CONNECTED)
    return qc_check_wide_conv(image, op, p, in, out);
  switch ((qc_opcode_t)op->opcode) {
  case QC_OP_CONV_2D:
    return qc_check_conv2d(image, op, p, in, out);
  case QC_OP_DEPTHWISE_CONV_2D:
    return qc_check_depthwise(image, op, p, in, out);
  case QC_OP_FULLY_CONNECTED:
    return qc_check_fully_connected(image, op, p, in, out);
  case QC_OP_ADD:
  case QC_OP_SUB:
  case QC_OP_SQUARED_DIFFERENCE:
  case QC_OP_MUL:
  case QC_OP_MINIMUM:
  case QC_OP_MAXIMUM:
  case QC_OP_PRELU:
    return qc_check_elementwise(image, op, p, out);
  case QC_OP_AVERAGE_POOL_2D:
  case QC_OP_MAX_POOL_2D:
    return qc_check_pool(p, in, out);
  case QC_OP_MEAN:
    return qc_check_mean(p, in, out);
  case QC_OP_PAD:
  case QC_OP_RESHAPE:
  case QC_OP_CONCATENATION:
  case QC_OP_SLICE:
  case QC_OP_RESIZE:
    return check_move(image, op, p, in, out);
  case QC_OP_BATCH_MATMUL:
    return qc_check_matmul(p, in, qc_operator_input(image, op, 1), out);
  case QC_OP_TRANSPOSE_CONV:
    return qc_check_transpose_conv(image, p, in, out);
  case QC_OP_ARG_MAX:
    return qc_check_arg_max(p, in, out);
  case QC_OP_L2_NORMALIZATION:
    return qc_check_l2_normalization(p, in, out);
  case QC_OP_LSTM:
    return qc_check_lstm(image, op, p, in, out);
  case QC_OP_SOFTMAX:
    return qc_check_softmax(p, in, out);
  case QC_OP_RESCALE:
    return qc_check_rescale(p, in, out);
  case QC_OP_QUANTIZE:
    return qc_check_float_edge(p, in, out, QC_HALF_EVEN);
  case QC_OP_DEQUANTIZE:
    return qc_check_float_edge(p, out, in, 0);
  case QC_OP_TABLE:
    return qc_check_lookup(image, p, in, out);
  case QC_OP_SOFTMAX_INT16:
    return qc_check_wide_softmax(image, p, in, out);
  case QC_OP_SIGMOID_INT16:
    return qc_check_sigmoid(image, p, in, out);
  }
  return QC_ERR_TYPE;
}

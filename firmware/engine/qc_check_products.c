/* Sums of products against their weights: what the kernels rely on, nothing less. */
#include "qc_check_products.h"

#include "qc_check_rules.h"
#include "qc_layout.h"

/* FULLY_CONNECTED has a window of one cell. */
static int is_one_cell(const qc_window_t *window) {
  static const qc_window_t one = {1, 1, 1, 1, 1, 1, 0, 0};
  const uint16_t *field = (const void *)window, *expected = (const void *)&one;
  for (size_t i = 0; i < sizeof(one) / sizeof(*expected); i++)
    if (field[i] != expected[i]) return 0;
  return 1;
}

/* Whether the shortened requantization gives the full one's result. */
static int is_fast(const qc_conv_params_t *p, const qc_channel_t *channel, uint64_t largest) {
  int32_t right = -channel->shift;
  if (largest >= QC_FAST_SUM || !qc_within(right, 1, QC_FAST_SHIFT)) return 0;
  return channel->offset == (1 << (right - 1)) + p->output_zero_point * (1 << right);
}

/* The channel records: `products` is the number of int8 products in one sum. */
static qc_status_t check_channels(const qc_image_t *image, const qc_conv_params_t *p,
                                  uint32_t outputs, uint64_t products) {
  QC_REQUIRE(p->channels == qc_round_up(outputs, 4), QC_ERR_SIZE);
  QC_REQUIRE(p->channels_offset % 16 == 0 && p->weights_offset % 16 == 0, QC_ERR_ALIGN);
  uint64_t bytes = (uint64_t)p->channels * sizeof(qc_channel_t);
  QC_REQUIRE(p->channels_offset + bytes <= image->header->constants_bytes, QC_ERR_BOUNDS);
  QC_REQUIRE((uint64_t)p->weights_offset + p->weights_bytes <= image->header->constants_bytes,
             QC_ERR_BOUNDS);
  const qc_channel_t *channel = (const void *)(image->constants + p->channels_offset);
  uint64_t sum = products * QC_PRODUCT_LIMIT * (p->weight_zero_point != 0 ? 2u : 1u);
  for (uint32_t i = 0; i < p->channels; i++, channel++) {
    int64_t bias = channel->bias;
    uint64_t largest = sum + (uint64_t)(bias < 0 ? -bias : bias);
    QC_REQUIRE(qc_multiplier_fits(channel->multiplier, channel->shift), QC_ERR_PARAM);
    QC_REQUIRE(p->flags & QC_CONV_FAST ? is_fast(p, channel, largest) : channel->offset == 0,
               QC_ERR_PARAM);
    QC_REQUIRE(i < outputs || channel->multiplier == 0, QC_ERR_PARAM);
  }
  return QC_OK;
}

/* The channel records of int16 activations: `products` make one sum. */
static qc_status_t check_wide_channels(const qc_image_t *image, const qc_conv_params_t *p,
                                       uint32_t outputs, uint64_t products) {
  QC_REQUIRE(p->channels == outputs, QC_ERR_SIZE);
  QC_REQUIRE(p->channels_offset % 16 == 0 && p->weights_offset % 16 == 0, QC_ERR_ALIGN);
  uint64_t bytes = (uint64_t)p->channels * sizeof(qc_wide_channel_t);
  QC_REQUIRE(p->channels_offset + bytes <= image->header->constants_bytes, QC_ERR_BOUNDS);
  QC_REQUIRE((uint64_t)p->weights_offset + p->weights_bytes <= image->header->constants_bytes,
             QC_ERR_BOUNDS);
  QC_REQUIRE(products < QC_PRODUCTS, QC_ERR_SIZE);
  const qc_wide_channel_t *channel = (const void *)(image->constants + p->channels_offset);
  for (uint32_t i = 0; i < p->channels; i++, channel++) {
    if (p->packing == QC_PACKING_PLAIN16) {
      QC_REQUIRE(qc_within(channel->bias, -QC_LONG_BIAS, QC_LONG_BIAS), QC_ERR_PARAM);
      QC_REQUIRE(qc_divisor_fits(channel->multiplier, channel->shift), QC_ERR_PARAM);
    } else if (p->flags & QC_CONV_WIDE) {
      QC_REQUIRE(qc_within(channel->bias, -QC_WIDE_BIAS, QC_WIDE_BIAS), QC_ERR_PARAM);
      QC_REQUIRE(qc_within(channel->multiplier, 0, INT16_MAX), QC_ERR_PARAM);
      QC_REQUIRE(qc_within(channel->shift, QC_WIDE_SHIFT_MIN, QC_WIDE_SHIFT_MAX), QC_ERR_PARAM);
    } else {
      QC_REQUIRE(qc_within(channel->bias, INT32_MIN, INT32_MAX), QC_ERR_PARAM);
      QC_REQUIRE(qc_multiplier_fits(channel->multiplier, channel->shift), QC_ERR_PARAM);
    }
  }
  return QC_OK;
}

/* A convolution or dense layer on int16 activations; its weights lie as in the source. */
qc_status_t qc_check_wide_conv(const qc_image_t *image, const qc_operator_t *op,
                               const qc_conv_params_t *p, const qc_tensor_t *in,
                               const qc_tensor_t *out) {
  QC_REQUIRE(in->dtype == out->dtype, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(p->input_zero_point == 0 && p->weight_zero_point == 0 && p->output_zero_point == 0,
             QC_ERR_PARAM);
  QC_REQUIRE(qc_range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
  QC_REQUIRE((p->flags & ~(uint32_t)QC_CONV_WIDE) == 0, QC_ERR_PARAM);
  QC_REQUIRE(p->packing == QC_PACKING_PLAIN || p->packing == QC_PACKING_PLAIN16, QC_ERR_TYPE);
  uint32_t bytes = p->packing == QC_PACKING_PLAIN16 ? 2 : 1; /* of a weight */
  QC_REQUIRE(bytes == 1 || p->flags == 0, QC_ERR_PARAM);
  QC_REQUIRE(out->rank >= 1, QC_ERR_SHAPE);
  uint32_t outputs = out->shape[out->rank - 1], depth, channels;
  if (op->opcode == QC_OP_FULLY_CONNECTED) {
    QC_REQUIRE(is_one_cell(&p->window) && p->depth_multiplier == 0, QC_ERR_PARAM);
    uint32_t batches = qc_elements(out) / outputs;
    channels = depth = qc_elements(in) / batches;
    QC_REQUIRE(depth > 0 && depth * batches == qc_elements(in), QC_ERR_SHAPE);
  } else {
    QC_REQUIRE(in->rank == 4 && out->rank == 4 && in->shape[0] == out->shape[0], QC_ERR_SHAPE);
    QC_REQUIRE(qc_window_fits(&p->window, out), QC_ERR_PARAM);
    channels = in->shape[3];
    uint64_t cells = (uint64_t)p->window.kernel_h * p->window.kernel_w * outputs * bytes;
    QC_REQUIRE(p->weights_bytes > 0 && p->weights_bytes % cells == 0, QC_ERR_SIZE);
    depth = (uint32_t)(p->weights_bytes / cells);
  }
  uint64_t products = (uint64_t)p->window.kernel_h * p->window.kernel_w * depth;
  QC_REQUIRE(p->weights_bytes == products * outputs * bytes, QC_ERR_SIZE);
  if (op->opcode == QC_OP_DEPTHWISE_CONV_2D) {
    QC_REQUIRE(depth == 1, QC_ERR_SIZE);
    QC_REQUIRE((uint64_t)channels * p->depth_multiplier == outputs, QC_ERR_SHAPE);
  } else { /* as many groups as times that the weights' depth fits in the input's */
    QC_REQUIRE(p->depth_multiplier == 0, QC_ERR_PARAM);
    QC_REQUIRE(channels % depth == 0 && outputs % (channels / depth) == 0, QC_ERR_SIZE);
  }
  return check_wide_channels(image, p, outputs, products);
}

/* `flags`: those that the opcode knows. */
static qc_status_t check_conv_params(const qc_conv_params_t *p, const qc_tensor_t *in,
                                     const qc_tensor_t *out, uint32_t flags) {
  QC_REQUIRE(in->dtype == QC_INT8 && out->dtype == QC_INT8, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(qc_zero_point_fits(in, p->input_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(in, p->weight_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
  QC_REQUIRE((p->flags & ~flags) == 0, QC_ERR_PARAM);
  return QC_OK;
}

/* Whether the products of every odd row stay below QC_PAIRED_SUM; short columns need no look. A
 * word holds two halfwords of one pair of rows, then come those of the other pair. */
static int are_pairs_exact(const qc_image_t *image, const qc_conv_params_t *p, uint32_t column) {
  if ((uint64_t)column * QC_PRODUCT_LIMIT < QC_PAIRED_SUM) return 1;
  const int16_t *at = (const void *)(image->constants + p->weights_offset);
  for (uint32_t block = 0; block < p->channels / 4; block++) {
    uint32_t sum[2] = {0, 0};
    for (uint32_t i = 0; i < 2 * column; i++, at++) {
      int32_t odd = (*at - (int8_t)*at) / 256;
      sum[i / 2 % 2] += (uint32_t)(odd < 0 ? -odd : odd);
    }
    if (sum[0] >= QC_PAIRED_SUM / 128 || sum[1] >= QC_PAIRED_SUM / 128) return 0;
  }
  return 1;
}

/* Blocks of weights and their channels: `outputs` rows of `column`, of which `products` count. */
static qc_status_t check_blocks(const qc_image_t *image, const qc_conv_params_t *p,
                                uint32_t outputs, uint32_t column, uint64_t products) {
  int paired = p->packing == QC_PACKING_PAIRED4X4;
  QC_REQUIRE(p->packing == QC_PACKING_BLOCK4X4 || paired, QC_ERR_TYPE);
  QC_REQUIRE(!paired || p->weight_zero_point == 0, QC_ERR_PARAM);
  QC_REQUIRE(p->weights_bytes == (uint64_t)qc_round_up(outputs, 4) * column, QC_ERR_SIZE);
  qc_status_t status = check_channels(image, p, outputs, products);
  if (status != QC_OK) return status;
  QC_REQUIRE(!paired || are_pairs_exact(image, p, column), QC_ERR_PARAM);
  return QC_OK;
}

qc_status_t qc_check_conv2d(const qc_image_t *image, const qc_operator_t *op,
                            const qc_conv_params_t *p, const qc_tensor_t *in,
                            const qc_tensor_t *out) {
  qc_status_t status = check_conv_params(p, in, out, QC_CONV_FAST | QC_CONV_STAGED);
  if (status != QC_OK) return status;
  QC_REQUIRE(in->rank == 4 && out->rank == 4 && in->shape[0] == out->shape[0], QC_ERR_SHAPE);
  QC_REQUIRE(qc_window_fits(&p->window, out), QC_ERR_PARAM);
  QC_REQUIRE(p->depth_multiplier == 0 && p->weight_zero_point == 0, QC_ERR_PARAM);
  uint64_t products = (uint64_t)p->window.kernel_h * p->window.kernel_w * in->shape[3];
  QC_REQUIRE(products < QC_PRODUCTS, QC_ERR_SIZE);
  uint32_t column = qc_column_length(&p->window, in->shape[3]);
  uint32_t run = qc_run_length(&p->window, in->shape[3]);
  uint32_t pixels = out->shape[0] * out->shape[1] * out->shape[2];
  uint64_t scratch = qc_column_scratch(column, run, pixels) + qc_staged_scratch(p);
  QC_REQUIRE(op->scratch_bytes >= scratch, QC_ERR_SIZE);
  return check_blocks(image, p, out->shape[3], column, products);
}

qc_status_t qc_check_depthwise(const qc_image_t *image, const qc_operator_t *op,
                               const qc_conv_params_t *p, const qc_tensor_t *in,
                               const qc_tensor_t *out) {
  qc_status_t status = check_conv_params(p, in, out, QC_CONV_FAST);
  if (status != QC_OK) return status;
  QC_REQUIRE(in->rank == 4 && out->rank == 4 && in->shape[0] == out->shape[0], QC_ERR_SHAPE);
  QC_REQUIRE(qc_window_fits(&p->window, out), QC_ERR_PARAM);
  QC_REQUIRE(p->packing == QC_PACKING_PLANES, QC_ERR_TYPE);
  QC_REQUIRE(p->weight_zero_point == 0, QC_ERR_PARAM);
  QC_REQUIRE((uint64_t)in->shape[3] * p->depth_multiplier == out->shape[3], QC_ERR_SHAPE);
  uint64_t products = (uint64_t)p->window.kernel_h * p->window.kernel_w;
  QC_REQUIRE(products < QC_PRODUCTS, QC_ERR_SIZE);
  QC_REQUIRE(p->weights_bytes == products * out->shape[3], QC_ERR_SIZE);
  QC_REQUIRE(op->scratch_bytes >= qc_depthwise_scratch(&p->window, out->shape[2]), QC_ERR_SIZE);
  return check_channels(image, p, out->shape[3], products);
}

qc_status_t qc_check_transpose_conv(const qc_image_t *image, const qc_conv_params_t *p,
                                    const qc_tensor_t *in, const qc_tensor_t *out) {
  qc_status_t status = check_conv_params(p, in, out, QC_CONV_FAST);
  if (status != QC_OK) return status;
  QC_REQUIRE(in->rank == 4 && out->rank == 4 && in->shape[0] == out->shape[0], QC_ERR_SHAPE);
  QC_REQUIRE(qc_window_fits(&p->window, in) && qc_window_fits(&p->window, out), QC_ERR_PARAM);
  QC_REQUIRE(p->window.dilation_h == 1 && p->window.dilation_w == 1, QC_ERR_PARAM);
  QC_REQUIRE(p->packing == QC_PACKING_PLAIN, QC_ERR_TYPE);
  QC_REQUIRE(p->depth_multiplier == 0 && p->weight_zero_point == 0 && p->flags == 0, QC_ERR_PARAM);
  uint64_t products = (uint64_t)p->window.kernel_h * p->window.kernel_w * in->shape[3];
  QC_REQUIRE(products < QC_PRODUCTS, QC_ERR_SIZE);
  QC_REQUIRE(p->weights_bytes == products * out->shape[3], QC_ERR_SIZE);
  return check_channels(image, p, out->shape[3], products);
}

qc_status_t qc_check_fully_connected(const qc_image_t *image, const qc_operator_t *op,
                                     const qc_conv_params_t *p, const qc_tensor_t *in,
                                     const qc_tensor_t *out) {
  qc_status_t status = check_conv_params(p, in, out, QC_CONV_FAST);
  if (status != QC_OK) return status;
  QC_REQUIRE(is_one_cell(&p->window), QC_ERR_PARAM);
  QC_REQUIRE(in->rank >= 1 && out->rank >= 1, QC_ERR_SHAPE);
  uint32_t units = out->shape[out->rank - 1], batches = out->bytes / units;
  uint32_t depth = in->bytes / batches;
  QC_REQUIRE(depth * batches == in->bytes && depth > 0, QC_ERR_SHAPE);
  QC_REQUIRE(p->depth_multiplier == 0, QC_ERR_PARAM);
  QC_REQUIRE(depth < QC_PRODUCTS, QC_ERR_SIZE);
  uint32_t column = qc_round_up(depth, 4);
  QC_REQUIRE(op->scratch_bytes >= qc_batch_scratch(column, batches), QC_ERR_SIZE);
  return check_blocks(image, p, units, column, depth);
}

qc_status_t qc_check_matmul(const qc_matmul_params_t *p, const qc_tensor_t *a, const qc_tensor_t *b,
                            const qc_tensor_t *out) {
  QC_REQUIRE(qc_are_activations(a, out) && b->dtype == a->dtype, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(a->rank >= 2 && b->rank >= 2 && out->rank >= 2, QC_ERR_SHAPE);
  QC_REQUIRE((p->flags & ~(uint32_t)(QC_ADJ_X | QC_ADJ_Y)) == 0, QC_ERR_PARAM);
  uint32_t x = p->flags & QC_ADJ_X ? 1 : 0, y = p->flags & QC_ADJ_Y ? 1 : 0;
  QC_REQUIRE(qc_from_end(a, 2 - x) == qc_from_end(out, 2) &&
                 qc_from_end(b, 1 + y) == qc_from_end(out, 1),
             QC_ERR_SHAPE);
  QC_REQUIRE(qc_from_end(a, 1 + x) == qc_from_end(b, 2 - y), QC_ERR_SHAPE);
  qc_tensor_t batches[] = {*a, *b, *out};
  for (size_t i = 0; i < 3; i++) batches[i].rank = (uint8_t)(batches[i].rank - 2);
  QC_REQUIRE(qc_broadcasts(&batches[0], &batches[2]) && qc_broadcasts(&batches[1], &batches[2]),
             QC_ERR_SHAPE);
  QC_REQUIRE(qc_zero_point_fits(a, p->input1_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(b, p->input2_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(qc_zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  if (a->dtype == QC_INT8) {
    QC_REQUIRE(qc_multiplier_fits(p->multiplier, p->shift), QC_ERR_PARAM);
    return QC_OK;
  }
  QC_REQUIRE(qc_from_end(a, 1 + x) <= QC_INT16_PRODUCTS, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(qc_within(p->multiplier, 0, INT16_MAX), QC_ERR_PARAM);
  QC_REQUIRE(qc_within(p->shift, QC_WIDE_SHIFT_MIN, QC_WIDE_SHIFT_MAX), QC_ERR_PARAM);
  return QC_OK;
}

/* One operator against its tensors and parameters: what its kernel relies on, nothing less. */
#include "qc_check.h"

#include "qc_fixed_point.h"
#include "qc_image.h"
#include "qc_simd.h"

#define QC_REQUIRE(condition, status)                                                              \
  do {                                                                                             \
    if (!(condition)) return (status);                                                             \
  } while (0)

static int within(int64_t value, int64_t low, int64_t high) {
  return value >= low && value <= high;
}

static int is_byte(const qc_tensor_t *t) {
  return t->dtype == QC_INT8 || t->dtype == QC_UINT8;
}

static int is_integer(const qc_tensor_t *t) {
  return is_byte(t) || t->dtype == QC_INT16;
}

/* What most operators work on: int8 or int16, in and out alike. */
static int are_activations(const qc_tensor_t *in, const qc_tensor_t *out) {
  return (in->dtype == QC_INT8 || in->dtype == QC_INT16) && in->dtype == out->dtype;
}

static int value_fits(const qc_tensor_t *t, int32_t value) {
  if (t->dtype == QC_INT16) return within(value, INT16_MIN, INT16_MAX);
  return t->dtype == QC_UINT8 ? within(value, 0, 255) : within(value, -128, 127);
}

/* int16 is symmetric. */
static int zero_point_fits(const qc_tensor_t *t, int32_t zero_point) {
  return t->dtype == QC_INT16 ? zero_point == 0 : value_fits(t, zero_point);
}

static int range_fits(const qc_tensor_t *t, int32_t low, int32_t high) {
  return low <= high && value_fits(t, low) && value_fits(t, high);
}

static int multiplier_fits(int32_t multiplier, int32_t shift) {
  if (multiplier < 0 || within(shift, -31, 30)) return multiplier >= 0;
  int even = within(shift, QC_FLOAT_SHIFT - 31, QC_FLOAT_SHIFT + 30);
  int odd = within(shift, QC_FLOAT_ODD_SHIFT - 31, QC_FLOAT_ODD_SHIFT + 30);
  return (even || odd) && (multiplier & 0x7f) == 0;
}

#define QC_PRODUCTS (1u << 24) /* products in one sum */

/* A sliding window: positions stay far from the limits of int32. */
static int window_fits(const qc_window_t *w, const qc_tensor_t *out) {
  const int64_t limit = 1 << 24;
  return w->kernel_h > 0 && w->kernel_w > 0 && w->stride_h > 0 && w->stride_w > 0 &&
         w->dilation_h > 0 && w->dilation_w > 0 &&
         (int64_t)(out->shape[1] - 1) * w->stride_h + (int64_t)w->kernel_h * w->dilation_h <=
             limit &&
         (int64_t)(out->shape[2] - 1) * w->stride_w + (int64_t)w->kernel_w * w->dilation_w <= limit;
}

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
  if (largest >= 1u << 30 || !within(right, 1, QC_FAST_SHIFT)) return 0;
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
    QC_REQUIRE(multiplier_fits(channel->multiplier, channel->shift), QC_ERR_PARAM);
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
  const int64_t limit = INT64_C(1) << 46; /* with as much from the products, below 2^47 */
  for (uint32_t i = 0; i < p->channels; i++, channel++) {
    if (p->flags & QC_CONV_WIDE) {
      QC_REQUIRE(within(channel->bias, -limit, limit), QC_ERR_PARAM);
      QC_REQUIRE(within(channel->multiplier, 0, INT16_MAX), QC_ERR_PARAM);
      QC_REQUIRE(within(channel->shift, 8, 46), QC_ERR_PARAM);
    } else {
      QC_REQUIRE(within(channel->bias, INT32_MIN, INT32_MAX), QC_ERR_PARAM);
      QC_REQUIRE(multiplier_fits(channel->multiplier, channel->shift), QC_ERR_PARAM);
    }
  }
  return QC_OK;
}

/* A convolution or dense layer on int16 activations; its weights lie as in the source. */
static qc_status_t check_wide_conv(const qc_image_t *image, const qc_operator_t *op,
                                   const qc_conv_params_t *p, const qc_tensor_t *in,
                                   const qc_tensor_t *out) {
  QC_REQUIRE(in->dtype == out->dtype, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(p->input_zero_point == 0 && p->weight_zero_point == 0 && p->output_zero_point == 0,
             QC_ERR_PARAM);
  QC_REQUIRE(range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
  QC_REQUIRE((p->flags & ~(uint32_t)QC_CONV_WIDE) == 0, QC_ERR_PARAM);
  QC_REQUIRE(p->packing == QC_PACKING_PLAIN, QC_ERR_TYPE);
  QC_REQUIRE(out->rank >= 1, QC_ERR_SHAPE);
  uint32_t outputs = out->shape[out->rank - 1], depth, channels;
  if (op->opcode == QC_OP_FULLY_CONNECTED) {
    QC_REQUIRE(is_one_cell(&p->window) && p->depth_multiplier == 0, QC_ERR_PARAM);
    uint32_t batches = qc_elements(out) / outputs;
    channels = depth = qc_elements(in) / batches;
    QC_REQUIRE(depth > 0 && depth * batches == qc_elements(in), QC_ERR_SHAPE);
  } else {
    QC_REQUIRE(in->rank == 4 && out->rank == 4 && in->shape[0] == out->shape[0], QC_ERR_SHAPE);
    QC_REQUIRE(window_fits(&p->window, out), QC_ERR_PARAM);
    channels = in->shape[3];
    uint64_t cells = (uint64_t)p->window.kernel_h * p->window.kernel_w * outputs;
    QC_REQUIRE(p->weights_bytes > 0 && p->weights_bytes % cells == 0, QC_ERR_SIZE);
    depth = (uint32_t)(p->weights_bytes / cells);
  }
  uint64_t products = (uint64_t)p->window.kernel_h * p->window.kernel_w * depth;
  QC_REQUIRE(p->weights_bytes == products * outputs, QC_ERR_SIZE);
  if (op->opcode == QC_OP_DEPTHWISE_CONV_2D) {
    QC_REQUIRE(depth == 1, QC_ERR_SIZE);
    QC_REQUIRE((uint64_t)channels * p->depth_multiplier == outputs, QC_ERR_SHAPE);
  } else { /* as many groups as times that the weights' depth fits in the input's */
    QC_REQUIRE(p->depth_multiplier == 0, QC_ERR_PARAM);
    QC_REQUIRE(channels % depth == 0 && outputs % (channels / depth) == 0, QC_ERR_SIZE);
  }
  return check_wide_channels(image, p, outputs, products);
}

static qc_status_t check_conv_params(const qc_conv_params_t *p, const qc_tensor_t *in,
                                     const qc_tensor_t *out) {
  QC_REQUIRE(in->dtype == QC_INT8 && out->dtype == QC_INT8, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(zero_point_fits(in, p->input_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(zero_point_fits(in, p->weight_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
  QC_REQUIRE((p->flags & ~(uint32_t)QC_CONV_FAST) == 0, QC_ERR_PARAM);
  return QC_OK;
}

static qc_status_t check_conv2d(const qc_image_t *image, const qc_operator_t *op,
                                const qc_conv_params_t *p, const qc_tensor_t *in,
                                const qc_tensor_t *out) {
  qc_status_t status = check_conv_params(p, in, out);
  if (status != QC_OK) return status;
  QC_REQUIRE(in->rank == 4 && out->rank == 4 && in->shape[0] == out->shape[0], QC_ERR_SHAPE);
  QC_REQUIRE(window_fits(&p->window, out), QC_ERR_PARAM);
  QC_REQUIRE(p->packing == QC_PACKING_BLOCK4X4, QC_ERR_TYPE);
  QC_REQUIRE(p->depth_multiplier == 0 && p->weight_zero_point == 0, QC_ERR_PARAM);
  uint64_t products = (uint64_t)p->window.kernel_h * p->window.kernel_w * in->shape[3];
  QC_REQUIRE(products < QC_PRODUCTS, QC_ERR_SIZE);
  uint32_t column = qc_column_length(&p->window, in->shape[3]);
  QC_REQUIRE(p->weights_bytes == (uint64_t)qc_round_up(out->shape[3], 4) * column, QC_ERR_SIZE);
  uint32_t run = qc_run_length(&p->window, in->shape[3]);
  uint32_t pixels = out->shape[0] * out->shape[1] * out->shape[2];
  QC_REQUIRE(op->scratch_bytes >= qc_column_scratch(column, run, pixels), QC_ERR_SIZE);
  return check_channels(image, p, out->shape[3], products);
}

static qc_status_t check_depthwise(const qc_image_t *image, const qc_operator_t *op,
                                   const qc_conv_params_t *p, const qc_tensor_t *in,
                                   const qc_tensor_t *out) {
  qc_status_t status = check_conv_params(p, in, out);
  if (status != QC_OK) return status;
  QC_REQUIRE(in->rank == 4 && out->rank == 4 && in->shape[0] == out->shape[0], QC_ERR_SHAPE);
  QC_REQUIRE(window_fits(&p->window, out), QC_ERR_PARAM);
  QC_REQUIRE(p->packing == QC_PACKING_PLANES, QC_ERR_TYPE);
  QC_REQUIRE(p->weight_zero_point == 0, QC_ERR_PARAM);
  QC_REQUIRE((uint64_t)in->shape[3] * p->depth_multiplier == out->shape[3], QC_ERR_SHAPE);
  uint64_t products = (uint64_t)p->window.kernel_h * p->window.kernel_w;
  QC_REQUIRE(products < QC_PRODUCTS, QC_ERR_SIZE);
  QC_REQUIRE(p->weights_bytes == products * out->shape[3], QC_ERR_SIZE);
  QC_REQUIRE(op->scratch_bytes >= qc_depthwise_scratch(&p->window, out->shape[2]), QC_ERR_SIZE);
  return check_channels(image, p, out->shape[3], products);
}

static qc_status_t check_transpose_conv(const qc_image_t *image, const qc_conv_params_t *p,
                                        const qc_tensor_t *in, const qc_tensor_t *out) {
  qc_status_t status = check_conv_params(p, in, out);
  if (status != QC_OK) return status;
  QC_REQUIRE(in->rank == 4 && out->rank == 4 && in->shape[0] == out->shape[0], QC_ERR_SHAPE);
  QC_REQUIRE(window_fits(&p->window, in) && window_fits(&p->window, out), QC_ERR_PARAM);
  QC_REQUIRE(p->window.dilation_h == 1 && p->window.dilation_w == 1, QC_ERR_PARAM);
  QC_REQUIRE(p->packing == QC_PACKING_PLAIN, QC_ERR_TYPE);
  QC_REQUIRE(p->depth_multiplier == 0 && p->weight_zero_point == 0 && p->flags == 0, QC_ERR_PARAM);
  uint64_t products = (uint64_t)p->window.kernel_h * p->window.kernel_w * in->shape[3];
  QC_REQUIRE(products < QC_PRODUCTS, QC_ERR_SIZE);
  QC_REQUIRE(p->weights_bytes == products * out->shape[3], QC_ERR_SIZE);
  return check_channels(image, p, out->shape[3], products);
}

static qc_status_t check_fully_connected(const qc_image_t *image, const qc_operator_t *op,
                                         const qc_conv_params_t *p, const qc_tensor_t *in,
                                         const qc_tensor_t *out) {
  qc_status_t status = check_conv_params(p, in, out);
  if (status != QC_OK) return status;
  QC_REQUIRE(is_one_cell(&p->window), QC_ERR_PARAM);
  QC_REQUIRE(in->rank >= 1 && out->rank >= 1, QC_ERR_SHAPE);
  uint32_t units = out->shape[out->rank - 1], batches = out->bytes / units;
  uint32_t depth = in->bytes / batches;
  QC_REQUIRE(depth * batches == in->bytes && depth > 0, QC_ERR_SHAPE);
  QC_REQUIRE(p->packing == QC_PACKING_BLOCK4X4, QC_ERR_TYPE);
  QC_REQUIRE(p->depth_multiplier == 0, QC_ERR_PARAM);
  QC_REQUIRE(depth < QC_PRODUCTS, QC_ERR_SIZE);
  uint32_t column = qc_round_up(depth, 4);
  QC_REQUIRE(p->weights_bytes == (uint64_t)qc_round_up(units, 4) * column, QC_ERR_SIZE);
  QC_REQUIRE(op->scratch_bytes >= qc_batch_scratch(column, batches), QC_ERR_SIZE);
  return check_channels(image, p, units, depth);
}

/* Whether `in` broadcasts to `out` as in NumPy. */
static int broadcasts(const qc_tensor_t *in, const qc_tensor_t *out) {
  if (in->rank > out->rank) return 0;
  for (uint32_t i = 0; i < in->rank; i++) {
    uint32_t dim = in->shape[in->rank - 1 - i];
    if (dim != 1 && dim != out->shape[out->rank - 1 - i]) return 0;
  }
  return 1;
}

/* Two inputs of one type that broadcast to the output. */
static qc_status_t check_pair(const qc_tensor_t *a, const qc_tensor_t *b, const qc_tensor_t *out) {
  QC_REQUIRE(are_activations(a, out) && b->dtype == a->dtype, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(broadcasts(a, out) && broadcasts(b, out), QC_ERR_SHAPE);
  return QC_OK;
}

static qc_status_t check_add(const qc_operator_t *op, const qc_add_params_t *p,
                             const qc_tensor_t *a, const qc_tensor_t *b, const qc_tensor_t *out) {
  QC_REQUIRE(p->left_shift <= 20, QC_ERR_PARAM);
  QC_REQUIRE(zero_point_fits(a, p->input1_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(zero_point_fits(b, p->input2_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
  QC_REQUIRE(multiplier_fits(p->input1_multiplier, p->input1_shift), QC_ERR_PARAM);
  QC_REQUIRE(multiplier_fits(p->input2_multiplier, p->input2_shift), QC_ERR_PARAM);
  QC_REQUIRE(p->input1_shift <= 0 && p->input2_shift <= 0, QC_ERR_PARAM);
  QC_REQUIRE(multiplier_fits(p->output_multiplier, p->output_shift), QC_ERR_PARAM);
  QC_REQUIRE(!qc_add_has_tables(p, a, b, out) || op->scratch_bytes >= 2048, QC_ERR_SIZE);
  return QC_OK;
}

static qc_status_t check_mul(const qc_mul_params_t *p, const qc_tensor_t *a, const qc_tensor_t *b,
                             const qc_tensor_t *out) {
  QC_REQUIRE(zero_point_fits(a, p->input1_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(zero_point_fits(b, p->input2_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
  QC_REQUIRE(multiplier_fits(p->multiplier, p->shift), QC_ERR_PARAM);
  return QC_OK;
}

static qc_status_t check_prelu(const qc_prelu_params_t *p, const qc_tensor_t *x,
                               const qc_tensor_t *slope, const qc_tensor_t *out) {
  QC_REQUIRE(out->dtype == QC_INT8, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(zero_point_fits(x, p->input_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(zero_point_fits(slope, p->slope_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(multiplier_fits(p->identity_multiplier, p->identity_shift), QC_ERR_PARAM);
  QC_REQUIRE(multiplier_fits(p->slope_multiplier, p->slope_shift), QC_ERR_PARAM);
  return QC_OK;
}

static uint32_t from_end(const qc_tensor_t *t, uint32_t i) {
  return t->shape[t->rank - i];
}

static qc_status_t check_matmul(const qc_matmul_params_t *p, const qc_tensor_t *a,
                                const qc_tensor_t *b, const qc_tensor_t *out) {
  QC_REQUIRE(are_activations(a, out) && b->dtype == a->dtype, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(a->rank >= 2 && b->rank >= 2 && out->rank >= 2, QC_ERR_SHAPE);
  QC_REQUIRE((p->flags & ~(uint32_t)(QC_ADJ_X | QC_ADJ_Y)) == 0, QC_ERR_PARAM);
  uint32_t x = p->flags & QC_ADJ_X ? 1 : 0, y = p->flags & QC_ADJ_Y ? 1 : 0;
  QC_REQUIRE(from_end(a, 2 - x) == from_end(out, 2) && from_end(b, 1 + y) == from_end(out, 1),
             QC_ERR_SHAPE);
  QC_REQUIRE(from_end(a, 1 + x) == from_end(b, 2 - y), QC_ERR_SHAPE);
  qc_tensor_t batches[] = {*a, *b, *out};
  for (size_t i = 0; i < 3; i++) batches[i].rank = (uint8_t)(batches[i].rank - 2);
  QC_REQUIRE(broadcasts(&batches[0], &batches[2]) && broadcasts(&batches[1], &batches[2]),
             QC_ERR_SHAPE);
  QC_REQUIRE(zero_point_fits(a, p->input1_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(zero_point_fits(b, p->input2_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  if (a->dtype == QC_INT8) {
    QC_REQUIRE(multiplier_fits(p->multiplier, p->shift), QC_ERR_PARAM);
    return QC_OK;
  }
  QC_REQUIRE(from_end(a, 1 + x) <= 1u << 17, QC_ERR_UNSUPPORTED); /* sums to 2^47 */
  QC_REQUIRE(within(p->multiplier, 0, INT16_MAX) && within(p->shift, 8, 46), QC_ERR_PARAM);
  return QC_OK;
}

/* Operators with two inputs. */
static qc_status_t check_elementwise(const qc_image_t *image, const qc_operator_t *op,
                                     const void *p, const qc_tensor_t *out) {
  const qc_tensor_t *a = qc_operator_input(image, op, 0), *b = qc_operator_input(image, op, 1);
  qc_status_t status = check_pair(a, b, out);
  if (status != QC_OK) return status;
  switch (op->opcode) {
  case QC_OP_ADD:
  case QC_OP_SUB:
    return check_add(op, p, a, b, out);
  case QC_OP_MUL:
    return check_mul(p, a, b, out);
  case QC_OP_PRELU:
    return check_prelu(p, a, b, out);
  default: /* MINIMUM and MAXIMUM have no parameters */
    return QC_OK;
  }
}

/* How many values a 32-bit sum holds. */
static uint32_t sum_limit(const qc_tensor_t *t) {
  return t->dtype == QC_INT16 ? 1u << 15 : 1u << 22;
}

/* Every output of a pool must see at least one cell of the input. */
static int axis_is_covered(uint32_t kernel, uint32_t stride, uint32_t pad, uint32_t in,
                           uint32_t out) {
  return pad < kernel && (uint64_t)(out - 1) * stride < (uint64_t)pad + in;
}

static qc_status_t check_pool(const qc_pool_params_t *p, const qc_tensor_t *in,
                              const qc_tensor_t *out) {
  const qc_window_t *w = &p->window;
  QC_REQUIRE(are_activations(in, out), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(in->rank == 4 && out->rank == 4, QC_ERR_SHAPE);
  QC_REQUIRE(in->shape[0] == out->shape[0] && in->shape[3] == out->shape[3], QC_ERR_SHAPE);
  QC_REQUIRE(window_fits(w, out) && w->dilation_h == 1 && w->dilation_w == 1, QC_ERR_PARAM);
  QC_REQUIRE((uint32_t)w->kernel_h * w->kernel_w < sum_limit(in), QC_ERR_SIZE);
  QC_REQUIRE(axis_is_covered(w->kernel_h, w->stride_h, w->pad_top, in->shape[1], out->shape[1]),
             QC_ERR_SHAPE);
  QC_REQUIRE(axis_is_covered(w->kernel_w, w->stride_w, w->pad_left, in->shape[2], out->shape[2]),
             QC_ERR_SHAPE);
  QC_REQUIRE(range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
  return QC_OK;
}

static qc_status_t check_mean(const qc_mean_params_t *p, const qc_tensor_t *in,
                              const qc_tensor_t *out) {
  QC_REQUIRE(are_activations(in, out), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(p->axes >> in->rank == 0, QC_ERR_PARAM);
  uint32_t count = 1;
  for (uint32_t i = 0; i < in->rank; i++)
    if (p->axes >> i & 1u) count *= in->shape[i];
  QC_REQUIRE(in->bytes / count == out->bytes, QC_ERR_SHAPE);
  QC_REQUIRE(count < sum_limit(in), QC_ERR_SIZE);
  QC_REQUIRE(zero_point_fits(in, p->input_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(multiplier_fits(p->multiplier, p->shift), QC_ERR_PARAM);
  return QC_OK;
}

static qc_status_t check_pad(const qc_pad_params_t *p, const qc_tensor_t *in,
                             const qc_tensor_t *out) {
  QC_REQUIRE(is_integer(in) && in->dtype == out->dtype, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(in->rank == out->rank && in->rank > 0, QC_ERR_SHAPE);
  for (uint32_t i = 0; i < in->rank; i++)
    QC_REQUIRE((uint64_t)p->before[i] + in->shape[i] <= out->shape[i], QC_ERR_SHAPE);
  for (uint32_t i = in->rank; i < QC_MAX_RANK; i++) QC_REQUIRE(p->before[i] == 0, QC_ERR_PARAM);
  QC_REQUIRE(value_fits(out, p->value), QC_ERR_PARAM);
  return QC_OK;
}

static qc_status_t check_concatenation(const qc_image_t *image, const qc_operator_t *op,
                                       const qc_concatenation_params_t *p, const qc_tensor_t *out) {
  QC_REQUIRE(are_activations(out, out), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(p->axis < out->rank, QC_ERR_PARAM);
  QC_REQUIRE(range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
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

static qc_status_t check_slice(const qc_slice_params_t *p, const qc_tensor_t *in,
                               const qc_tensor_t *out) {
  QC_REQUIRE(is_integer(in) && in->dtype == out->dtype, QC_ERR_UNSUPPORTED);
  int64_t first = p->offset, last = p->offset; /* of the elements that are read */
  for (uint32_t i = 0; i < QC_MAX_RANK; i++) {
    QC_REQUIRE(i < out->rank || p->strides[i] == 0, QC_ERR_PARAM);
    int64_t reach = i < out->rank ? (int64_t)(out->shape[i] - 1) * p->strides[i] : 0;
    QC_REQUIRE(within(reach, -INT32_MAX, INT32_MAX), QC_ERR_PARAM);
    first += reach < 0 ? reach : 0;
    last += reach > 0 ? reach : 0;
  }
  QC_REQUIRE(first >= 0 && last < qc_elements(in), QC_ERR_PARAM);
  return QC_OK;
}

static qc_status_t check_softmax(const qc_softmax_params_t *p, const qc_tensor_t *in,
                                 const qc_tensor_t *out) {
  QC_REQUIRE(in->dtype == QC_INT8, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(out->dtype == QC_INT8 || out->dtype == QC_INT16, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(in->rank > 0 && qc_same_shape(in, out), QC_ERR_SHAPE);
  QC_REQUIRE(in->shape[in->rank - 1] < 4096, QC_ERR_UNSUPPORTED); /* the sum has 12 integer bits */
  QC_REQUIRE(p->multiplier >= 0 && p->left_shift <= 31, QC_ERR_PARAM);
  QC_REQUIRE(p->diff_min <= 0, QC_ERR_PARAM);
  return QC_OK;
}

/* `bytes` of the constants from a multiple of 16 on. */
static qc_status_t check_table(const qc_image_t *image, uint32_t offset, uint32_t bytes) {
  QC_REQUIRE(offset % 16 == 0, QC_ERR_ALIGN);
  QC_REQUIRE((uint64_t)offset + bytes <= image->header->constants_bytes, QC_ERR_BOUNDS);
  return QC_OK;
}

/* Where the positions of a resized axis lie in the input. */
static qc_status_t check_positions(const qc_image_t *image, uint32_t offset, uint32_t count,
                                   const qc_tensor_t *in, uint32_t size) {
  QC_REQUIRE(count <= UINT16_MAX, QC_ERR_SIZE);
  qc_status_t status = check_table(image, offset, count * (uint32_t)sizeof(qc_position_t));
  if (status != QC_OK) return status;
  const qc_position_t *at = (const void *)(image->constants + offset);
  for (uint32_t i = 0; i < count; i++) {
    QC_REQUIRE(at[i].weight < 1024 && (at[i].weight == 0 || in->dtype == QC_INT8), QC_ERR_PARAM);
    QC_REQUIRE(at[i].lower + (at[i].weight > 0 ? 1u : 0u) < size, QC_ERR_PARAM);
  }
  return QC_OK;
}

static qc_status_t check_resize(const qc_image_t *image, const qc_resize_params_t *p,
                                const qc_tensor_t *in, const qc_tensor_t *out) {
  QC_REQUIRE(are_activations(in, out), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(in->rank == 4 && out->rank == 4, QC_ERR_SHAPE);
  QC_REQUIRE(in->shape[0] == out->shape[0] && in->shape[3] == out->shape[3], QC_ERR_SHAPE);
  qc_status_t status = check_positions(image, p->rows_offset, out->shape[1], in, in->shape[1]);
  if (status != QC_OK) return status;
  return check_positions(image, p->columns_offset, out->shape[2], in, in->shape[2]);
}

/* No value of the exponential is negative, and that of 0 is at least 2: sums have a reciprocal. */
static int exponentials_fit(const int16_t *table) {
  for (uint32_t i = 0; i < QC_INTERPOLATED_ENTRIES; i++)
    if (table[i] < (i + 2 < QC_INTERPOLATED_ENTRIES ? 0 : 2)) return 0;
  return 1;
}

static qc_status_t check_wide_softmax(const qc_image_t *image, const qc_wide_softmax_params_t *p,
                                      const qc_tensor_t *in, const qc_tensor_t *out) {
  const uint32_t bytes = QC_INTERPOLATED_ENTRIES * (uint32_t)sizeof(int16_t);
  QC_REQUIRE(in->dtype == QC_INT16 && out->dtype == QC_INT16, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(in->rank > 0 && qc_same_shape(in, out), QC_ERR_SHAPE);
  QC_REQUIRE(in->shape[in->rank - 1] < 1u << 16, QC_ERR_UNSUPPORTED); /* a sum of 32 bits */
  QC_REQUIRE(multiplier_fits(p->multiplier, p->shift), QC_ERR_PARAM);
  qc_status_t status = check_table(image, p->exponentials_offset, bytes);
  if (status == QC_OK) status = check_table(image, p->reciprocals_offset, bytes);
  if (status != QC_OK) return status;
  const int16_t *table = (const void *)(image->constants + p->exponentials_offset);
  return exponentials_fit(table) ? QC_OK : QC_ERR_PARAM;
}

static qc_status_t check_lookup(const qc_image_t *image, const qc_table_params_t *p,
                                const qc_tensor_t *in, const qc_tensor_t *out) {
  QC_REQUIRE(is_byte(in) && is_byte(out), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(qc_same_shape(in, out), QC_ERR_SHAPE);
  return check_table(image, p->table_offset, 256);
}

static qc_status_t check_sigmoid(const qc_image_t *image, const qc_sigmoid_params_t *p,
                                 const qc_tensor_t *in, const qc_tensor_t *out) {
  QC_REQUIRE(in->dtype == QC_INT16 && out->dtype == QC_INT16, QC_ERR_UNSUPPORTED);
  QC_REQUIRE(qc_same_shape(in, out), QC_ERR_SHAPE);
  QC_REQUIRE(within(p->multiplier, 0, INT16_MAX) && within(p->shift, 0, 31), QC_ERR_PARAM);
  QC_REQUIRE(p->function <= QC_TANH, QC_ERR_PARAM);
  return check_table(image, p->table_offset, QC_SIGMOID_ENTRIES * (uint32_t)sizeof(uint16_t));
}

static qc_status_t check_rescale(const qc_rescale_params_t *p, const qc_tensor_t *in,
                                 const qc_tensor_t *out) {
  QC_REQUIRE(is_integer(in) && is_integer(out), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(!is_byte(in) || !is_byte(out), QC_ERR_UNSUPPORTED); /* that is TABLE */
  QC_REQUIRE(qc_same_shape(in, out), QC_ERR_SHAPE);
  QC_REQUIRE(zero_point_fits(in, p->input_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(zero_point_fits(out, p->output_zero_point), QC_ERR_PARAM);
  QC_REQUIRE(range_fits(out, p->act_min, p->act_max), QC_ERR_PARAM);
  QC_REQUIRE(multiplier_fits(p->multiplier, p->shift), QC_ERR_PARAM);
  QC_REQUIRE((p->flags & ~(uint32_t)QC_RESCALE_MULTIPLY) == 0, QC_ERR_PARAM);
  return QC_OK;
}

static qc_status_t check_float_edge(const qc_float_edge_params_t *p, const qc_tensor_t *real,
                                    const qc_tensor_t *quantized, uint32_t flags) {
  QC_REQUIRE(real->dtype == QC_FLOAT32 && is_integer(quantized), QC_ERR_UNSUPPORTED);
  QC_REQUIRE(qc_same_shape(real, quantized), QC_ERR_SHAPE);
  QC_REQUIRE(zero_point_fits(quantized, p->zero_point), QC_ERR_PARAM);
  uint32_t scale = p->scale & ~flags; /* positive and finite */
  QC_REQUIRE(scale > 0 && scale < 0x7f800000u, QC_ERR_PARAM);
  return QC_OK;
}

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
  };
  return opcode > 0 && opcode < sizeof(facts) / sizeof(facts[0]) ? &facts[opcode] : NULL;
}

qc_status_t qc_operator_check(const qc_image_t *image, const qc_operator_t *op) {
  const void *p = image->params + op->params_offset;
  const qc_tensor_t *in = qc_operator_input(image, op, 0), *out = qc_operator_output(image, op);
  if (in->dtype == QC_INT16 && op->opcode <= QC_OP_FULLY_CONNECTED)
    return check_wide_conv(image, op, p, in, out);
  switch ((qc_opcode_t)op->opcode) {
  case QC_OP_CONV_2D:
    return check_conv2d(image, op, p, in, out);
  case QC_OP_DEPTHWISE_CONV_2D:
    return check_depthwise(image, op, p, in, out);
  case QC_OP_FULLY_CONNECTED:
    return check_fully_connected(image, op, p, in, out);
  case QC_OP_ADD:
  case QC_OP_SUB:
  case QC_OP_MUL:
  case QC_OP_MINIMUM:
  case QC_OP_MAXIMUM:
  case QC_OP_PRELU:
    return check_elementwise(image, op, p, out);
  case QC_OP_AVERAGE_POOL_2D:
  case QC_OP_MAX_POOL_2D:
    return check_pool(p, in, out);
  case QC_OP_MEAN:
    return check_mean(p, in, out);
  case QC_OP_PAD:
    return check_pad(p, in, out);
  case QC_OP_RESHAPE:
    QC_REQUIRE(in->dtype == out->dtype && in->bytes == out->bytes, QC_ERR_SHAPE);
    QC_REQUIRE(in->place == QC_PLACE_ARENA && in->offset == out->offset, QC_ERR_BOUNDS);
    return QC_OK;
  case QC_OP_CONCATENATION:
    return check_concatenation(image, op, p, out);
  case QC_OP_SLICE:
    return check_slice(p, in, out);
  case QC_OP_RESIZE:
    return check_resize(image, p, in, out);
  case QC_OP_BATCH_MATMUL:
    return check_matmul(p, in, qc_operator_input(image, op, 1), out);
  case QC_OP_TRANSPOSE_CONV:
    return check_transpose_conv(image, p, in, out);
  case QC_OP_SOFTMAX:
    return check_softmax(p, in, out);
  case QC_OP_RESCALE:
    return check_rescale(p, in, out);
  case QC_OP_QUANTIZE:
    return check_float_edge(p, in, out, QC_HALF_EVEN);
  case QC_OP_DEQUANTIZE:
    return check_float_edge(p, out, in, 0);
  case QC_OP_TABLE:
    return check_lookup(image, p, in, out);
  case QC_OP_SOFTMAX_INT16:
    return check_wide_softmax(image, p, in, out);
  case QC_OP_SIGMOID_INT16:
    return check_sigmoid(image, p, in, out);
  }
  return QC_ERR_TYPE;
}

static uint64_t smaller(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/* The products, and the cells of the input rows that go through the ring for each channel. */
static uint64_t depthwise_work(const qc_conv_params_t *p, const qc_tensor_t *out) {
  const qc_window_t *w = &p->window;
  uint64_t rows = qc_plane_rows(w), width = qc_plane_width(w, out->shape[2]);
  uint64_t fetched = rows + (out->shape[1] - 1u) * smaller(w->stride_h, rows);
  uint64_t products = (uint64_t)out->bytes * w->kernel_h * w->kernel_w;
  uint64_t channels = (uint64_t)out->shape[0] * out->shape[3];
  return products + channels * fetched * width + QC_DEPTHWISE_GROUP * rows * width;
}

static uint64_t inner_work(const qc_image_t *image, const qc_operator_t *op) {
  const void *params = image->params + op->params_offset;
  const qc_conv_params_t *conv = params;
  const qc_pool_params_t *pool = params;
  const qc_matmul_params_t *matmul = params;
  const qc_tensor_t *in = qc_operator_input(image, op, 0), *out = qc_operator_output(image, op);
  uint64_t channels = out->rank > 0 ? out->shape[out->rank - 1] : 1;
  switch ((qc_opcode_t)op->opcode) {
  case QC_OP_CONV_2D:
  case QC_OP_FULLY_CONNECTED:
  case QC_OP_TRANSPOSE_CONV:
    return out->bytes / channels * conv->weights_bytes;
  case QC_OP_BATCH_MATMUL: /* a row has as many elements as a sum has products, or a column has */
    return (uint64_t)out->bytes * (matmul->flags & QC_ADJ_X ? from_end(in, 2) : from_end(in, 1));
  case QC_OP_DEPTHWISE_CONV_2D:
    return depthwise_work(conv, out);
  case QC_OP_AVERAGE_POOL_2D:
  case QC_OP_MAX_POOL_2D:
    return out->bytes * smaller(pool->window.kernel_h, in->shape[1]) *
           smaller(pool->window.kernel_w, in->shape[2]);
  default:
    return UINT64_C(16) * (in->bytes > out->bytes ? in->bytes : out->bytes);
  }
}

uint64_t qc_operator_work(const qc_image_t *image, const qc_operator_t *op) {
  return inner_work(image, op) + UINT64_C(32) * qc_operator_output(image, op)->bytes;
}

/* The kernels, one file each. Parameters were checked by qc_operator_check(); activations are NHWC.
 * `scratch` is word aligned and as large as SPEC.md states for the operator. */
#ifndef QC_KERNELS_H
#define QC_KERNELS_H

#include "qc_layout.h"

typedef struct {
  int32_t n, h, w, c;
} qc_dims_t;

/* An operator's memory, found in image and arena. */
typedef struct {
  const void *data;
  const qc_tensor_t *tensor;
} qc_operand_t;

/* An element of any integer type. */
static inline int32_t qc_fetch(qc_operand_t operand, uint32_t i) {
  if (operand.tensor->dtype == QC_INT16) return ((const int16_t *)operand.data)[i];
  if (operand.tensor->dtype == QC_INT8) return ((const int8_t *)operand.data)[i];
  return ((const uint8_t *)operand.data)[i];
}

static inline void qc_store(void *output, uint8_t dtype, uint32_t i, int32_t value) {
  if (dtype == QC_INT16)
    ((int16_t *)output)[i] = (int16_t)value;
  else
    ((uint8_t *)output)[i] = (uint8_t)value;
}

typedef struct {
  const qc_conv_params_t *params;
  const int8_t *weights;
  const qc_channel_t *channels;
  qc_dims_t in, out;
  const int8_t *input;
  int8_t *output;
  void *scratch;
} qc_conv_t;

typedef struct {
  const qc_pool_params_t *params;
  qc_dims_t in, out;
  const int8_t *input;
  int8_t *output;
} qc_pool_t;

/* int16 activations. */
typedef struct {
  const qc_conv_params_t *params;
  const void *weights; /* int8, in PLAIN16 int16 */
  const qc_wide_channel_t *channels;
  qc_dims_t in, out;
  int32_t depth; /* input channels that one output channel sees; FULLY_CONNECTED: all inputs */
  const int16_t *input;
  int16_t *output;
} qc_wide_conv_t;

typedef struct {
  const qc_pool_params_t *params;
  qc_dims_t in, out;
  const int16_t *input;
  int16_t *output;
} qc_wide_pool_t;

/* int8: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, TRANSPOSE_CONV. */
void qc_conv2d_s8(const qc_conv_t *op);
void qc_depthwise_conv2d_s8(const qc_conv_t *op);
void qc_fully_connected_s8(const qc_conv_t *op);
void qc_transpose_conv2d_s8(const qc_conv_t *op);
/* int16: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED. */
void qc_conv2d_s16(const qc_wide_conv_t *op);
void qc_depthwise_conv2d_s16(const qc_wide_conv_t *op);
void qc_fully_connected_s16(const qc_wide_conv_t *op);
/* BATCH_MATMUL. */
void qc_batch_matmul(const qc_matmul_params_t *params, qc_operand_t a, qc_operand_t b,
                     const qc_tensor_t *out, void *output);

/* LSTM; `cells` has room for a state of each unit. */
void qc_lstm(const qc_lstm_params_t *params, const uint8_t *constants, qc_operand_t input,
             const qc_tensor_t *out, void *output, int16_t *cells);

/* ADD, SUB of int8 with tables in scratch (qc_add_has_tables). */
void qc_add_s8(const qc_add_params_t *params, int subtract, const int8_t *a, const int8_t *b,
               int8_t *output, uint32_t count, int32_t *scratch);
/* ADD, SUB, SQUARED_DIFFERENCE, MUL, MINIMUM, MAXIMUM, PRELU. */
void qc_elementwise(uint8_t opcode, const void *params, qc_operand_t a, qc_operand_t b,
                    const qc_tensor_t *out, void *output);
/* RESCALE. */
void qc_rescale(const qc_rescale_params_t *params, qc_operand_t input, const qc_tensor_t *out,
                void *output);
/* TABLE, which lies in the image's constants. */
void qc_table(const uint8_t *table, qc_operand_t input, uint8_t *output);
/* SIGMOID_INT16. */
void qc_sigmoid_s16(const qc_sigmoid_params_t *params, const uint8_t *constants, qc_operand_t input,
                    int16_t *output);
/* QUANTIZE, DEQUANTIZE. */
void qc_quantize_f32(const qc_float_edge_params_t *params, qc_operand_t input,
                     const qc_tensor_t *out, uint8_t *output);
void qc_dequantize_f32(const qc_float_edge_params_t *params, qc_operand_t input, uint32_t *output);

/* AVERAGE_POOL_2D, MAX_POOL_2D. */
void qc_average_pool_s8(const qc_pool_t *op);
void qc_max_pool_s8(const qc_pool_t *op);
void qc_average_pool_s16(const qc_wide_pool_t *op);
void qc_max_pool_s16(const qc_wide_pool_t *op);
/* MEAN. */
void qc_mean_s8(const qc_mean_params_t *params, qc_operand_t input, int8_t *output);
void qc_mean_s16(const qc_mean_params_t *params, qc_operand_t input, uint32_t outputs,
                 int16_t *output);
/* ARG_MAX, L2_NORMALIZATION. */
void qc_arg_max_s8(const qc_arg_max_params_t *params, qc_operand_t input, int32_t *output);
void qc_l2_normalization_s8(const qc_l2_params_t *params, qc_operand_t input, int8_t *output);
/* SOFTMAX, from int8 to int8 or int16. */
void qc_softmax_s8(const qc_softmax_params_t *params, qc_operand_t input, const qc_tensor_t *out,
                   void *output);
/* SOFTMAX_INT16. */
void qc_softmax_s16(const qc_wide_softmax_params_t *params, const uint8_t *constants,
                    qc_operand_t input, int16_t *output);

/* PAD. */
void qc_pad(const qc_pad_params_t *params, qc_operand_t input, const qc_tensor_t *out,
            uint8_t *output);
/* CONCATENATION: called once per input, with its position along the concatenated axis. */
void qc_concatenation(const qc_concatenation_params_t *params, qc_operand_t input,
                      const qc_tensor_t *out, uint32_t position, uint8_t *output);
/* SLICE. */
void qc_slice(const qc_slice_params_t *params, qc_operand_t input, const qc_tensor_t *out,
              uint8_t *output);
/* RESIZE. */
void qc_resize(const qc_resize_params_t *params, const uint8_t *constants, qc_operand_t input,
               const qc_tensor_t *out, uint8_t *output);
/* RESHAPE has none: its output is its input. */

#endif

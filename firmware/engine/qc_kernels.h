/* One function per operator. Parameters were checked by qc_operator_check(); activations are NHWC.
 * `scratch` is word aligned and as large as SPEC.md states for the operator. */
#ifndef QC_KERNELS_H
#define QC_KERNELS_H

#include "qc_image.h"

typedef struct {
  int32_t n, h, w, c;
} qc_dims_t;

/* An operator's memory, found in image and arena. */
typedef struct {
  const void *data;
  const qc_tensor_t *tensor;
} qc_operand_t;

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

void qc_conv2d_s8(const qc_conv_t *op);
void qc_depthwise_conv2d_s8(const qc_conv_t *op);
void qc_fully_connected_s8(const qc_conv_t *op);
void qc_add_s8(const qc_add_params_t *params, qc_operand_t a, qc_operand_t b,
               const qc_tensor_t *out, int8_t *output, int32_t *scratch);
void qc_average_pool_s8(const qc_pool_t *op);
void qc_max_pool_s8(const qc_pool_t *op);
void qc_mean_s8(const qc_mean_params_t *params, qc_operand_t input, int8_t *output);
void qc_pad(const qc_pad_params_t *params, qc_operand_t input, const qc_tensor_t *out,
            uint8_t *output);
void qc_softmax_s8(const qc_softmax_params_t *params, qc_operand_t input, int8_t *output);
void qc_rescale(const qc_rescale_params_t *params, qc_operand_t input, const qc_tensor_t *out,
                uint8_t *output, uint8_t *scratch);
void qc_quantize_f32(const qc_float_edge_params_t *params, qc_operand_t input,
                     const qc_tensor_t *out, uint8_t *output);
void qc_dequantize_f32(const qc_float_edge_params_t *params, qc_operand_t input, uint32_t *output);
/* Called once per input, with the offset of its slice in bytes along the concatenated axis. */
void qc_concatenation_s8(const qc_concatenation_params_t *params, qc_operand_t input,
                         const qc_tensor_t *out, uint32_t position, int8_t *output);

#endif

/* The device image as it lies in memory (SPEC.md is the normative text), and the checks that make
 * it safe to execute. Records are read in place: images and targets are little-endian. */
#ifndef QC_IMAGE_H
#define QC_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "qc_runtime.h"

#define QC_IMAGE_MAGIC 0x314d4351u /* "QCM1" */
#define QC_IMAGE_VERSION 1u
#define QC_IMAGE_ALIGNMENT 16u
#define QC_MAX_RANK 5
#define QC_ADD_TABLE_ELEMENTS 256u    /* from this many elements on, ADD and SUB work with tables */
#define QC_DEPTHWISE_GROUP 4          /* channels that a depthwise convolution takes at a time */
#define QC_PRODUCT_LIMIT 16384        /* |int8 * int8| <= 2^14 */
#define QC_WIDE_PRODUCT_LIMIT 4194304 /* |int16 * int8| <= 2^22 */
#define QC_INTERPOLATED_ENTRIES 513u  /* of the tables of int16 SOFTMAX */
#define QC_SIGMOID_ENTRIES 256u
#define QC_FAST_SHIFT 20 /* fast operators shift right by 1 to 20 */
#ifndef QC_WORK_LIMIT
#define QC_WORK_LIMIT (UINT64_C(1) << 31) /* steps of one inference: a few minutes on a chip */
#endif

typedef struct {
  uint32_t magic;
  uint16_t version;
  uint16_t header_bytes;
  uint32_t image_bytes;
  uint32_t crc32;
  uint8_t source_sha256[32];
  uint32_t arena_bytes;
  uint16_t tensors, operators, inputs, outputs;
  uint32_t tensors_offset;
  uint32_t operators_offset;
  uint32_t lists_offset, lists_entries;
  uint32_t params_offset, params_bytes;
  uint32_t constants_offset, constants_bytes;
  uint32_t reserved;
} qc_image_header_t;

enum { QC_PLACE_ARENA = 0, QC_PLACE_CONSTANT = 1 };

typedef struct {
  uint8_t dtype; /* QC_INT8 ... QC_FLOAT32 */
  uint8_t rank;
  uint8_t place;
  uint8_t flags;
  uint32_t offset, bytes;
  uint32_t shape[QC_MAX_RANK];
} qc_tensor_t;

typedef enum {
  QC_OP_CONV_2D = 1,
  QC_OP_DEPTHWISE_CONV_2D = 2,
  QC_OP_FULLY_CONNECTED = 3,
  QC_OP_ADD = 4,
  QC_OP_AVERAGE_POOL_2D = 5,
  QC_OP_MAX_POOL_2D = 6,
  QC_OP_MEAN = 7,
  QC_OP_PAD = 8,
  QC_OP_RESHAPE = 9,
  QC_OP_CONCATENATION = 10,
  QC_OP_SOFTMAX = 11,
  QC_OP_RESCALE = 12,
  QC_OP_QUANTIZE = 13,
  QC_OP_DEQUANTIZE = 14,
  QC_OP_MUL = 15,
  QC_OP_TABLE = 16,
  QC_OP_SOFTMAX_INT16 = 17,
  QC_OP_SIGMOID_INT16 = 18,
  QC_OP_SUB = 19,
  QC_OP_MINIMUM = 20,
  QC_OP_MAXIMUM = 21,
  QC_OP_PRELU = 22,
  QC_OP_SLICE = 23,
  QC_OP_RESIZE = 24,
  QC_OP_BATCH_MATMUL = 25,
  QC_OP_TRANSPOSE_CONV = 26,
} qc_opcode_t;

enum { QC_STATE_EXECUTED = 0, QC_STATE_ELIDED = 1, QC_STATE_FUSED = 2 };

typedef struct {
  uint8_t opcode;
  uint8_t state;
  uint16_t source_index;
  uint8_t inputs, outputs;
  uint16_t source_output; /* which of the source operator's outputs this one makes */
  uint32_t list;          /* index into the lists section: inputs, then outputs */
  uint32_t params_offset, params_bytes;
  uint32_t scratch_offset, scratch_bytes;
  uint32_t reserved;
} qc_operator_t;

enum { QC_PACKING_BLOCK4X4 = 1, QC_PACKING_PLANES = 2, QC_PACKING_PLAIN = 3 };
enum { QC_CONV_FAST = 1u, QC_CONV_WIDE = 2u };
enum { QC_RESCALE_MULTIPLY = 1u };

typedef struct {
  uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
} qc_window_t;

typedef struct {
  qc_window_t window;
  int32_t input_zero_point, weight_zero_point, output_zero_point;
  int32_t act_min, act_max;
  uint32_t depth_multiplier;
  uint32_t packing;
  uint32_t flags;
  uint32_t weights_offset, weights_bytes;
  uint32_t channels_offset, channels;
} qc_conv_params_t;

typedef struct {
  int32_t bias, multiplier, shift;
  int32_t offset; /* of fast operators: 2^(-shift - 1) + output zero point * 2^-shift */
} qc_channel_t;

/* The channel record of int16 activations. Wide: a 15-bit multiplier and a right shift. */
typedef struct {
  int64_t bias;
  int32_t multiplier, shift;
} qc_wide_channel_t;

typedef struct {
  uint32_t left_shift;
  int32_t input1_zero_point, input2_zero_point, output_zero_point;
  int32_t input1_multiplier, input1_shift;
  int32_t input2_multiplier, input2_shift;
  int32_t output_multiplier, output_shift;
  int32_t act_min, act_max;
} qc_add_params_t;

typedef struct {
  int32_t input1_zero_point, input2_zero_point, output_zero_point;
  int32_t multiplier, shift;
  int32_t act_min, act_max;
} qc_mul_params_t;

typedef struct {
  int32_t input_zero_point, slope_zero_point, output_zero_point;
  int32_t identity_multiplier, identity_shift;
  int32_t slope_multiplier, slope_shift;
} qc_prelu_params_t;

typedef struct {
  qc_window_t window;
  int32_t act_min, act_max;
} qc_pool_params_t;

typedef struct {
  uint32_t axes; /* bit i: axis i is reduced */
  int32_t input_zero_point, output_zero_point;
  int32_t multiplier, shift;
} qc_mean_params_t;

typedef struct {
  uint32_t before[QC_MAX_RANK];
  int32_t value;
} qc_pad_params_t;

typedef struct {
  uint32_t axis;
  int32_t act_min, act_max;
} qc_concatenation_params_t;

typedef struct {
  uint32_t offset;
  int32_t
      strides[QC_MAX_RANK]; /* elements of the input from one position of the output to the next */
} qc_slice_params_t;

typedef struct {
  int32_t multiplier;
  uint32_t left_shift;
  int32_t diff_min;
} qc_softmax_params_t;

typedef struct {
  int32_t multiplier, shift;
  uint32_t exponentials_offset, reciprocals_offset;
} qc_wide_softmax_params_t;

typedef struct {
  uint32_t table_offset;
} qc_table_params_t;

typedef struct {
  uint32_t rows_offset, columns_offset;
} qc_resize_params_t;

/* A position of a resized axis: `weight` / 1024 of the way from `lower` to the next one. */
typedef struct {
  uint16_t lower, weight;
} qc_position_t;

enum { QC_ADJ_X = 1u, QC_ADJ_Y = 2u };

typedef struct {
  int32_t input1_zero_point, input2_zero_point, output_zero_point;
  int32_t multiplier, shift;
  uint32_t flags; /* QC_ADJ_X, QC_ADJ_Y: matrices whose axes are swapped */
} qc_matmul_params_t;

enum { QC_LOGISTIC = 0, QC_TANH = 1 };

typedef struct {
  int32_t multiplier, shift;
  uint32_t function; /* QC_LOGISTIC or QC_TANH */
  uint32_t table_offset;
} qc_sigmoid_params_t;

typedef struct {
  int32_t input_zero_point, output_zero_point;
  int32_t multiplier, shift;
  uint32_t flags;
  int32_t act_min, act_max;
} qc_rescale_params_t;

#define QC_HALF_EVEN 0x80000000u /* in QUANTIZE's scale, whose sign it is: halves go to even */

typedef struct {
  uint32_t scale; /* the bits of a float32 */
  int32_t zero_point;
} qc_float_edge_params_t;

_Static_assert(sizeof(qc_image_header_t) == 96, "header");
_Static_assert(sizeof(qc_tensor_t) == 32, "tensor record");
_Static_assert(sizeof(qc_operator_t) == 32, "operator record");
_Static_assert(sizeof(qc_conv_params_t) == 64, "convolution parameters");
_Static_assert(sizeof(qc_channel_t) == 16, "channel record");
_Static_assert(sizeof(qc_wide_channel_t) == 16, "channel record of int16 activations");
_Static_assert(sizeof(qc_add_params_t) == 48, "ADD parameters");
_Static_assert(sizeof(qc_pool_params_t) == 24, "pooling parameters");

/* An image with its sections found. Valid after qc_image_open() returned QC_OK. */
typedef struct {
  const qc_image_header_t *header;
  const qc_tensor_t *tensors;
  const qc_operator_t *operators;
  const uint16_t *lists; /* graph inputs, graph outputs, then the operators' lists */
  const uint8_t *params;
  const uint8_t *constants;
} qc_image_t;

/* Checks everything that an execution relies on: afterwards no kernel can leave the constants and
 * an arena of header->arena_bytes, whatever else the image says. */
qc_status_t qc_image_open(qc_image_t *image, const uint8_t *data, size_t bytes);

static inline uint32_t qc_round_up(uint32_t value, uint32_t multiple) {
  return (value + multiple - 1u) / multiple * multiple;
}

static inline const qc_tensor_t *qc_operator_input(const qc_image_t *image, const qc_operator_t *op,
                                                   uint32_t i) {
  return &image->tensors[image->lists[op->list + i]];
}

static inline const qc_tensor_t *qc_operator_output(const qc_image_t *image,
                                                    const qc_operator_t *op) {
  return &image->tensors[image->lists[op->list + op->inputs]];
}

static inline uint32_t qc_elements(const qc_tensor_t *t) {
  uint32_t n = 1;
  for (uint32_t i = 0; i < t->rank; i++) n *= t->shape[i];
  return n;
}

/* PLAIN weights: input channels that one of the output channels sees. */
static inline uint32_t qc_plain_depth(const qc_conv_params_t *p, uint32_t outputs) {
  return p->weights_bytes / (outputs * p->window.kernel_h * p->window.kernel_w);
}

static inline int qc_same_shape(const qc_tensor_t *a, const qc_tensor_t *b) {
  if (a->rank != b->rank) return 0;
  for (uint32_t i = 0; i < a->rank; i++)
    if (a->shape[i] != b->shape[i]) return 0;
  return 1;
}

/* Whether ADD and SUB work with tables in scratch: many int8 of one shape, a multiplier below one
 * half. */
static inline int qc_add_has_tables(const qc_add_params_t *p, const qc_tensor_t *a,
                                    const qc_tensor_t *b, const qc_tensor_t *out) {
  return out->dtype == QC_INT8 && out->bytes >= QC_ADD_TABLE_ELEMENTS && qc_same_shape(a, out) &&
         qc_same_shape(b, out) && p->output_shift < 0 && p->output_shift >= -QC_FAST_SHIFT;
}

/* BLOCK4X4 columns are made of runs: stretches of a window that lie together in the NHWC input.
 * Every run is padded with zero weights to a multiple of four. */
static inline uint32_t qc_run_length(const qc_window_t *w, uint32_t channels) {
  return w->dilation_w == 1 ? w->kernel_w * channels : channels;
}

static inline uint32_t qc_run_count(const qc_window_t *w) {
  return w->dilation_w == 1 ? w->kernel_h : (uint32_t)w->kernel_h * w->kernel_w;
}

static inline uint32_t qc_column_length(const qc_window_t *w, uint32_t channels) {
  return qc_run_count(w) * qc_round_up(qc_run_length(w, channels), 4);
}

/* Scratch of CONV_2D: two columns of int16 (or four of int8) and one run. */
static inline uint32_t qc_column_scratch(uint32_t column, uint32_t run, uint32_t pixels) {
  return 2u * column * (pixels > 1 ? 2u : 1u) + qc_round_up(run, 4);
}

/* Scratch of FULLY_CONNECTED: two columns of int16; a single one is read where it is. */
static inline uint32_t qc_batch_scratch(uint32_t column, uint32_t batches) {
  return batches > 1 ? 4u * column : 0u;
}

/* DEPTHWISE_CONV_2D works in a ring of input rows, as many as a window covers and as wide as a row
 * of outputs needs. */
static inline uint32_t qc_plane_width(const qc_window_t *w, uint32_t out_w) {
  return (out_w - 1) * w->stride_w + (w->kernel_w - 1u) * w->dilation_w + 1u;
}

static inline uint32_t qc_plane_rows(const qc_window_t *w) {
  return (w->kernel_h - 1u) * w->dilation_h + 1u;
}

/* Its scratch: the ring and a kernel, int16 for the channels of a group. */
static inline uint64_t qc_depthwise_scratch(const qc_window_t *w, uint32_t out_w) {
  uint64_t cells = (uint64_t)qc_plane_rows(w) * qc_plane_width(w, out_w);
  return 2u * QC_DEPTHWISE_GROUP * (cells + (uint64_t)w->kernel_h * w->kernel_w);
}

#endif

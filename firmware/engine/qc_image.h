/* The device image as it lies in memory: its records, numbers and limits. SPEC.md is the normative
 * text and opens with a picture of the file. Records are read in place: images and targets are
 * little-endian.
 *
 * Offsets named here: a file offset counts from the image's first byte, an arena offset from the
 * arena's, a constant offset from that of the constants section. */
#ifndef QC_IMAGE_H
#define QC_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "qc_runtime.h" /* QC_INT8 ... QC_FLOAT32: the format's data types */

#define QC_IMAGE_MAGIC 0x314d4351u /* "QCM1" */
#define QC_IMAGE_VERSION 1u
#define QC_IMAGE_ALIGNMENT 16u /* of image, arena, constants and whatever lies in them */
#define QC_MAX_RANK 5

/* --- header, tensors, operators --------------------------------------------------------------- */

/* The first bytes of the file. The sections follow in the order of their offsets. */
typedef struct {
  uint32_t magic;            /* QC_IMAGE_MAGIC */
  uint16_t version;          /* QC_IMAGE_VERSION */
  uint16_t header_bytes;     /* of this structure */
  uint32_t image_bytes;      /* of the whole file */
  uint32_t crc32;            /* as in zlib, over all that follows this field */
  uint8_t source_sha256[32]; /* of the artefact that was compiled; not looked at by the engine */
  uint32_t arena_bytes;      /* RAM for activations and scratch */
  uint16_t tensors, operators;
  uint16_t inputs, outputs;  /* of the graph; the lists section starts with them */
  uint32_t tensors_offset;   /* file offset of qc_tensor_t[tensors] */
  uint32_t operators_offset; /* file offset of qc_operator_t[operators], in running order */
  uint32_t lists_offset;     /* file offset of uint16_t[lists_entries]: tensor indices */
  uint32_t lists_entries;    /* ... of inputs and outputs, of states, then of every operator */
  uint32_t params_offset;    /* file offset of the parameter blocks */
  uint32_t params_bytes;     /* ... and their size together */
  uint32_t constants_offset; /* file offset of weights, channel records and tables */
  uint32_t constants_bytes;  /* ... and their size together */
  uint16_t states;           /* what a run hands on to the next; three entries of lists each */
  uint16_t reserved;         /* 0 */
} qc_image_header_t;
_Static_assert(sizeof(qc_image_header_t) == 96, "header");

/* The lists section names the tensors of a state: what holds it when a run begins, what it becomes
 * (both in the arena), and the constant that it begins with. */
#define QC_STATES 256u /* at most: each is compared with every other one */
enum { QC_TENSOR_BEFORE = 0, QC_TENSOR_AFTER = 1, QC_TENSOR_INITIAL = 2 };

enum { QC_PLACE_ARENA = 0, QC_PLACE_CONSTANT = 1 };

typedef struct {
  uint8_t dtype;               /* QC_INT8 ... QC_FLOAT32 */
  uint8_t rank;                /* 0 to QC_MAX_RANK */
  uint8_t place;               /* QC_PLACE_ARENA or QC_PLACE_CONSTANT */
  uint8_t flags;               /* 0 */
  uint32_t offset;             /* arena or constant offset */
  uint32_t bytes;              /* product of the shape times the size of an element */
  uint32_t shape[QC_MAX_RANK]; /* outermost axis first; 0 behind the rank */
} qc_tensor_t;
_Static_assert(sizeof(qc_tensor_t) == 32, "tensor record");

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
  QC_OP_SQUARED_DIFFERENCE = 27,
  QC_OP_ARG_MAX = 28,
  QC_OP_L2_NORMALIZATION = 29,
  QC_OP_LSTM = 30,
} qc_opcode_t;

/* ELIDED: the output is the input under another shape, nothing runs. FUSED is reserved. */
enum { QC_STATE_EXECUTED = 0, QC_STATE_ELIDED = 1, QC_STATE_FUSED = 2 };

typedef struct {
  uint8_t opcode;          /* qc_opcode_t */
  uint8_t state;           /* QC_STATE_EXECUTED ... */
  uint16_t source_index;   /* the operator's number in the source model */
  uint8_t inputs;          /* 1 or more */
  uint8_t outputs;         /* 1 */
  uint16_t source_output;  /* which of the source operator's outputs this one makes */
  uint32_t list;           /* entry in the lists section: the inputs, then the output */
  uint32_t params_offset;  /* in the parameters section */
  uint32_t params_bytes;   /* of the opcode's parameter block, below */
  uint32_t scratch_offset; /* arena offset of memory that is free while the operator runs */
  uint32_t scratch_bytes;
  uint32_t reserved; /* 0 */
} qc_operator_t;
_Static_assert(sizeof(qc_operator_t) == 32, "operator record");

/* --- requantization --------------------------------------------------------------------------- */

/* A multiplier of 31 bits and its shift; a positive one goes to the left. */
#define QC_SHIFT_MIN (-31)
#define QC_SHIFT_MAX 30 /* an int32_t cannot be shifted further */
/* Added to a shift, they ask for the rule of float32 factors, with halves to even or to odd. */
#define QC_FLOAT_SHIFT 128
#define QC_FLOAT_ODD_SHIFT 256
/* ... or that of powers of two and divisors: the "multiplier" divides, 1 or more, and the quotient
 * is rounded once. Shifts reach down to QC_RATIO_SHIFT_MIN where the divisor is 1. */
#define QC_HALF_UP_SHIFT 384
#define QC_HALF_EVEN_SHIFT 512
#define QC_FLOOR_SHIFT 640
#define QC_RATIO_SHIFT_MIN (-62)
/* Of fast operators, which round both times in one step: all shifts are -QC_FAST_SHIFT to -1, and
 * the sums stay below QC_FAST_SUM either way. */
#define QC_FAST_SHIFT 20
#define QC_FAST_SUM (1u << 30)
/* PAIRED4X4: the products of an odd output's weights stay below it either way, without the bias. */
#define QC_PAIRED_SUM (1u << 23)
/* Sums of 48 bits (int16 activations) have a multiplier of 15 bits and a shift to the right. */
#define QC_WIDE_SHIFT_MIN 8
#define QC_WIDE_SHIFT_MAX 46
#define QC_WIDE_BIAS (INT64_C(1) << 46) /* with as much from the products, below 2^47 */
#define QC_LONG_BIAS (INT64_C(1) << 60) /* of int16 weights: sums stay below 2^61 */

/* --- how many values make one sum ---------------------------------------------------------------
 */

#define QC_PRODUCT_LIMIT 16384        /* |int8 * int8| <= 2^14 */
#define QC_WIDE_PRODUCT_LIMIT 4194304 /* |int16 * int8| <= 2^22 */
#define QC_PRODUCTS (1u << 24)        /* a sum has fewer products, of int8 and of int16 * int8 */
#define QC_INT16_PRODUCTS (1u << 17)  /* ... at most so many of int16 * int16: 2^47 */
#define QC_INT8_SUM (1u << 22)        /* pools and MEAN add fewer int8 */
#define QC_INT16_SUM (1u << 15)       /* ... and fewer int16 */
#define QC_SOFTMAX_VALUES 4096u       /* int8 SOFTMAX adds fewer: 12 integer bits */
#define QC_WIDE_SOFTMAX_VALUES (1u << 16) /* int16 SOFTMAX adds fewer: 32 bits */

_Static_assert((int64_t)QC_PRODUCTS *QC_WIDE_PRODUCT_LIMIT + QC_WIDE_BIAS <= INT64_C(1) << 47,
               "sums of 48 bits");
_Static_assert(((int64_t)QC_PRODUCTS << 30) + QC_LONG_BIAS < INT64_C(1) << 61, "sums of 62 bits");

/* --- sums of products: convolutions, dense layers, matrix products ------------------------------
 */

#define QC_WINDOW_LIMIT (1 << 24) /* (out - 1) * stride + kernel * dilation, on both axes */

/* A sliding window. Output cell (y, x) sees the input cells
 * (y * stride_h - pad_top + i * dilation_h, x * stride_w - pad_left + j * dilation_w). */
typedef struct {
  uint16_t kernel_h, kernel_w;     /* 1 or more cells */
  uint16_t stride_h, stride_w;     /* 1 or more */
  uint16_t dilation_h, dilation_w; /* 1 or more */
  uint16_t pad_top, pad_left;      /* the other sides follow from the output's shape */
} qc_window_t;
_Static_assert(sizeof(qc_window_t) == 16, "window");

/* How weights lie: BLOCK4X4 [outputs / 4][K / 4][4 outputs][4 k], PLANES [output][kernel_h]
 * [kernel_w], PLAIN as in the source, PLAIN16 the same with int16 weights, PAIRED4X4
 * [outputs / 4][K / 4][k % 2][2 pairs of outputs][k / 2 % 2] halfwords 256 * odd + even. */
enum {
  QC_PACKING_BLOCK4X4 = 1,
  QC_PACKING_PLANES = 2,
  QC_PACKING_PLAIN = 3,
  QC_PACKING_PLAIN16 = 4,
  QC_PACKING_PAIRED4X4 = 5
};
enum { QC_CONV_FAST = 1u, QC_CONV_WIDE = 2u, QC_CONV_STAGED = 4u };

/* CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, TRANSPOSE_CONV. */
typedef struct {
  qc_window_t window;        /* FULLY_CONNECTED: one cell */
  int32_t input_zero_point;  /* also the value of padding cells */
  int32_t weight_zero_point; /* 0 but for FULLY_CONNECTED */
  int32_t output_zero_point;
  int32_t act_min, act_max;  /* outputs are clamped to these */
  uint32_t depth_multiplier; /* DEPTHWISE_CONV_2D: output channels per input channel; else 0 */
  uint32_t packing;          /* QC_PACKING_BLOCK4X4 ... */
  uint32_t flags;            /* QC_CONV_FAST (int8), QC_CONV_WIDE: sums of 48 bits (int16),
                              * QC_CONV_STAGED: weights are copied into scratch (CONV_2D, int8) */
  uint32_t weights_offset;   /* constant offset */
  uint32_t weights_bytes;
  uint32_t channels_offset; /* constant offset of the channel records */
  uint32_t channels;        /* int8: output channels rounded up to a multiple of 4 */
} qc_conv_params_t;
_Static_assert(sizeof(qc_conv_params_t) == 64, "convolution parameters");

/* An output channel of int8 activations. */
typedef struct {
  int32_t bias; /* with the input's zero point folded in */
  int32_t multiplier, shift;
  int32_t offset; /* of fast operators: 2^(-shift - 1) + output zero point * 2^-shift; else 0 */
} qc_channel_t;
_Static_assert(sizeof(qc_channel_t) == 16, "channel record");

/* An output channel of int16 activations. */
typedef struct {
  int64_t bias;              /* within QC_WIDE_BIAS; 32 bits where the sum is not wide;
                                within QC_LONG_BIAS with int16 weights */
  int32_t multiplier, shift; /* wide: 15 bits, to the right; int16 weights: a divisor of 1 and its
                                rule; else as anywhere */
} qc_wide_channel_t;
_Static_assert(sizeof(qc_wide_channel_t) == 16, "channel record of int16 activations");

enum { QC_ADJ_X = 1u, QC_ADJ_Y = 2u };

/* BATCH_MATMUL. */
typedef struct {
  int32_t input1_zero_point, input2_zero_point, output_zero_point;
  int32_t multiplier, shift; /* int16: of 15 bits, to the right */
  uint32_t flags;            /* QC_ADJ_X, QC_ADJ_Y: matrices whose last two axes are swapped */
} qc_matmul_params_t;
_Static_assert(sizeof(qc_matmul_params_t) == 24, "BATCH_MATMUL parameters");

#define QC_GATES 4 /* input, forget, cell, output */

/* LSTM. Weights of each gate: [units][features], then [units][units]. Biases of each gate: of the
 * features' sums, then of the hidden state's, with their zero points folded in; int32_t or, of
 * int16 activations, int64_t within QC_WIDE_BIAS. */
typedef struct {
  int32_t hidden_zero_point;
  int32_t input_multiplier[QC_GATES], input_shift[QC_GATES];   /* to steps of 2^-12; int16: of 15 */
  int32_t hidden_multiplier[QC_GATES], hidden_shift[QC_GATES]; /* ... bits, to the right */
  int32_t forget_multiplier, forget_shift;                     /* forget gate times cell state */
  int32_t update_multiplier, update_shift;                     /* input gate times cell gate */
  int32_t output_multiplier, output_shift; /* output gate times tanh of the cell state */
  int32_t tanh_multiplier, tanh_shift;     /* of the cell state: as in SIGMOID_INT16 */
  int32_t cell_min, cell_max;
  uint32_t weights_offset; /* constant offset */
  uint32_t weights_bytes;
  uint32_t biases_offset; /* constant offset */
  uint32_t table_offset;  /* constant offset of uint16_t[QC_SIGMOID_ENTRIES] in Q0.16 */
} qc_lstm_params_t;
_Static_assert(sizeof(qc_lstm_params_t) == 124, "LSTM parameters");

/* --- element by element ----------------------------------------------------------------------- */

#define QC_ADD_LEFT_SHIFT 20u      /* at most */
#define QC_ADD_TABLE_ELEMENTS 256u /* from this many elements on, ADD and SUB work with tables */
#define QC_ADD_TABLE_BYTES 2048u   /* ... which take so much scratch */

/* ADD, SUB, SQUARED_DIFFERENCE. */
typedef struct {
  uint32_t left_shift; /* of both inputs without their zero points */
  int32_t input1_zero_point, input2_zero_point, output_zero_point;
  int32_t input1_multiplier, input1_shift; /* to the scale that both are added in: shifts <= 0 */
  int32_t input2_multiplier, input2_shift;
  int32_t output_multiplier, output_shift; /* of the sum, or of the square */
  int32_t act_min, act_max;
} qc_add_params_t;
_Static_assert(sizeof(qc_add_params_t) == 48, "ADD parameters");

/* MUL. */
typedef struct {
  int32_t input1_zero_point, input2_zero_point, output_zero_point;
  int32_t multiplier, shift; /* of the product */
  int32_t act_min, act_max;
} qc_mul_params_t;
_Static_assert(sizeof(qc_mul_params_t) == 28, "MUL parameters");

/* PRELU; the second input is the slope. */
typedef struct {
  int32_t input_zero_point, slope_zero_point, output_zero_point;
  int32_t identity_multiplier, identity_shift; /* of inputs from the zero point on */
  int32_t slope_multiplier, slope_shift;       /* of the product of input and slope, below it */
} qc_prelu_params_t;
_Static_assert(sizeof(qc_prelu_params_t) == 28, "PRELU parameters");

enum { QC_RESCALE_MULTIPLY = 1u };

/* RESCALE. */
typedef struct {
  int32_t input_zero_point, output_zero_point;
  int32_t multiplier, shift;
  uint32_t flags; /* QC_RESCALE_MULTIPLY: else the zero points are exchanged and no more */
  int32_t act_min, act_max;
} qc_rescale_params_t;
_Static_assert(sizeof(qc_rescale_params_t) == 28, "RESCALE parameters");

#define QC_TABLE_BYTES 256u

/* TABLE: any function of one byte. */
typedef struct {
  uint32_t table_offset; /* constant offset of QC_TABLE_BYTES results, in the order of the bytes */
} qc_table_params_t;
_Static_assert(sizeof(qc_table_params_t) == 4, "TABLE parameters");

#define QC_SIGMOID_ENTRIES 256u
#define QC_SIGMOID_SHIFT_MAX 31
enum { QC_LOGISTIC = 0, QC_TANH = 1 };

/* SIGMOID_INT16. */
typedef struct {
  int32_t multiplier, shift; /* to steps of the table: 15 bits, to the right */
  uint32_t function;         /* QC_LOGISTIC or QC_TANH */
  uint32_t table_offset;     /* constant offset of uint16_t[QC_SIGMOID_ENTRIES] in Q0.16 */
} qc_sigmoid_params_t;
_Static_assert(sizeof(qc_sigmoid_params_t) == 16, "SIGMOID_INT16 parameters");

#define QC_HALF_EVEN 0x80000000u /* in QUANTIZE's scale, whose sign it is: halves go to even */

/* QUANTIZE from float32, DEQUANTIZE. */
typedef struct {
  uint32_t scale; /* the bits of a float32, positive and finite */
  int32_t zero_point;
} qc_float_edge_params_t;
_Static_assert(sizeof(qc_float_edge_params_t) == 8, "float edge parameters");

/* --- many values to one ----------------------------------------------------------------------- */

/* AVERAGE_POOL_2D, MAX_POOL_2D. */
typedef struct {
  qc_window_t window; /* dilations 1; every output sees a cell of the input */
  int32_t act_min, act_max;
} qc_pool_params_t;
_Static_assert(sizeof(qc_pool_params_t) == 24, "pooling parameters");

/* MEAN. */
typedef struct {
  uint32_t axes; /* bit i: axis i is reduced */
  int32_t input_zero_point, output_zero_point;
  int32_t multiplier, shift; /* of the sum: 1 / count is in it */
} qc_mean_params_t;
_Static_assert(sizeof(qc_mean_params_t) == 20, "MEAN parameters");

enum { QC_ARG_SMALLEST = 1u };

/* ARG_MAX, over the middle one of three axes. */
typedef struct {
  uint32_t flags; /* QC_ARG_SMALLEST: of the smallest value instead of the largest */
} qc_arg_max_params_t;
_Static_assert(sizeof(qc_arg_max_params_t) == 4, "ARG_MAX parameters");

#define QC_L2_VALUES 8257u /* L2_NORMALIZATION takes fewer: squares of 255, below 2^29 */

/* L2_NORMALIZATION, over the last axis; the output has scale 1/128 and zero point 0. */
typedef struct {
  int32_t input_zero_point;
} qc_l2_params_t;
_Static_assert(sizeof(qc_l2_params_t) == 4, "L2_NORMALIZATION parameters");

#define QC_SOFTMAX_LEFT_SHIFT 31u /* at most */

/* SOFTMAX of int8, over the last axis. */
typedef struct {
  int32_t multiplier; /* of differences to the largest input, after the shift: Q5.26 */
  uint32_t left_shift;
  int32_t diff_min; /* differences below it count nothing */
} qc_softmax_params_t;
_Static_assert(sizeof(qc_softmax_params_t) == 12, "SOFTMAX parameters");

#define QC_INTERPOLATED_ENTRIES 513u

/* SOFTMAX_INT16, over the last axis. */
typedef struct {
  int32_t multiplier, shift;    /* of differences to the largest input: steps of the first table */
  uint32_t exponentials_offset; /* constant offset of int16_t[QC_INTERPOLATED_ENTRIES] in Q0.15 */
  uint32_t reciprocals_offset;  /* the same for 1 / (1 + x) */
} qc_wide_softmax_params_t;
_Static_assert(sizeof(qc_wide_softmax_params_t) == 16, "SOFTMAX_INT16 parameters");

/* --- elements that move ----------------------------------------------------------------------- */

/* PAD. */
typedef struct {
  uint32_t before[QC_MAX_RANK]; /* cells before each axis; behind: from the output's shape */
  int32_t value;                /* of the new cells */
} qc_pad_params_t;
_Static_assert(sizeof(qc_pad_params_t) == 24, "PAD parameters");

/* CONCATENATION of inputs with the output's scale and zero point. */
typedef struct {
  uint32_t axis;
  int32_t act_min, act_max;
} qc_concatenation_params_t;
_Static_assert(sizeof(qc_concatenation_params_t) == 12, "CONCATENATION parameters");

/* SLICE: any output whose elements lie in the input at regular distances. */
typedef struct {
  uint32_t offset;              /* element of the input that comes first */
  int32_t strides[QC_MAX_RANK]; /* elements of the input from one output position to the next */
} qc_slice_params_t;
_Static_assert(sizeof(qc_slice_params_t) == 24, "SLICE parameters");

#define QC_RESIZE_STEPS 1024u /* from one input position to the next */

/* RESIZE. */
typedef struct {
  uint32_t rows_offset, columns_offset; /* constant offsets of a qc_position_t per row, column */
} qc_resize_params_t;
_Static_assert(sizeof(qc_resize_params_t) == 8, "RESIZE parameters");

/* A position of a resized axis: `weight` / QC_RESIZE_STEPS of the way from `lower` to the next. */
typedef struct {
  uint16_t lower, weight;
} qc_position_t;
_Static_assert(sizeof(qc_position_t) == 4, "position of RESIZE");

#endif

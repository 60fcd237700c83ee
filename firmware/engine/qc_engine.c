/* The engine: one checked image, one arena, operators one after the other. */
#include "qc_kernels.h"
#include "qc_layout.h"
#include "qc_open.h"
#include "qc_simd.h"

#define QC_ENGINE_VERSION "0.1.0"

typedef struct {
  qc_image_t image;
  uint8_t *arena; /* NULL: nothing is loaded */
} qc_engine_t;

static qc_engine_t *engine_of(const qc_runtime_t *self) {
  return self->context;
}

static uint8_t *arena_at(const qc_engine_t *engine, const qc_tensor_t *t) {
  return engine->arena + t->offset;
}

static qc_operand_t operand(const qc_engine_t *engine, const qc_tensor_t *t) {
  const uint8_t *base = t->place == QC_PLACE_ARENA ? engine->arena : engine->image.constants;
  return (qc_operand_t){base + t->offset, t};
}

static qc_dims_t dims_of(const qc_tensor_t *t) {
  return (qc_dims_t){(int32_t)t->shape[0], (int32_t)t->shape[1], (int32_t)t->shape[2],
                     (int32_t)t->shape[3]};
}

static const qc_conv_t *conv_of(const qc_engine_t *engine, const qc_operator_t *op,
                                const qc_conv_params_t *p, qc_operand_t in, const qc_tensor_t *out,
                                qc_conv_t *conv) {
  conv->params = p;
  conv->weights = (const int8_t *)engine->image.constants + p->weights_offset;
  conv->channels = (const void *)(engine->image.constants + p->channels_offset);
  conv->input = in.data;
  conv->output = (int8_t *)arena_at(engine, out);
  conv->scratch = engine->arena + op->scratch_offset;
  if (op->opcode == QC_OP_FULLY_CONNECTED) {
    uint32_t units = out->shape[out->rank - 1], batches = out->bytes / units;
    conv->in = (qc_dims_t){(int32_t)batches, 1, 1, (int32_t)(in.tensor->bytes / batches)};
    conv->out = (qc_dims_t){(int32_t)batches, 1, 1, (int32_t)units};
  } else {
    conv->in = dims_of(in.tensor);
    conv->out = dims_of(out);
  }
  return conv;
}

static qc_wide_conv_t wide_conv_of(const qc_engine_t *engine, const qc_operator_t *op,
                                   const qc_conv_params_t *p, qc_operand_t in,
                                   const qc_tensor_t *out) {
  qc_wide_conv_t conv = {
      .params = p,
      .weights = engine->image.constants + p->weights_offset,
      .channels = (const void *)(engine->image.constants + p->channels_offset),
      .in = dims_of(in.tensor),
      .out = dims_of(out),
      .depth = (int32_t)qc_plain_depth(p, p->channels),
      .input = in.data,
      .output = (int16_t *)(void *)arena_at(engine, out),
  };
  if (op->opcode == QC_OP_FULLY_CONNECTED)
    conv.out = (qc_dims_t){(int32_t)(qc_elements(out) / p->channels), 1, 1, (int32_t)p->channels};
  return conv;
}

/* Convolutions and dense layers on int16 activations. */
static void convolve_wide(const qc_engine_t *engine, const qc_operator_t *op,
                          const qc_conv_params_t *p, qc_operand_t in, const qc_tensor_t *out) {
  qc_wide_conv_t conv = wide_conv_of(engine, op, p, in, out);
  if (op->opcode == QC_OP_CONV_2D)
    qc_conv2d_s16(&conv);
  else if (op->opcode == QC_OP_DEPTHWISE_CONV_2D)
    qc_depthwise_conv2d_s16(&conv);
  else
    qc_fully_connected_s16(&conv);
}

static void concatenate(const qc_engine_t *engine, const qc_operator_t *op,
                        const qc_concatenation_params_t *p, const qc_tensor_t *out) {
  uint32_t position = 0;
  for (uint32_t i = 0; i < op->inputs; i++) {
    const qc_tensor_t *in = qc_operator_input(&engine->image, op, i);
    qc_concatenation(p, operand(engine, in), out, position, arena_at(engine, out));
    position += in->shape[p->axis];
  }
}

/* Operators with two inputs. */
static void combine(const qc_engine_t *engine, const qc_operator_t *op, const void *p,
                    qc_operand_t a, const qc_tensor_t *out, void *output) {
  qc_operand_t b = operand(engine, qc_operator_input(&engine->image, op, 1));
  int sum = op->opcode == QC_OP_ADD || op->opcode == QC_OP_SUB;
  if (sum && qc_add_has_tables(p, a.tensor, b.tensor, out))
    qc_add_s8(p, op->opcode == QC_OP_SUB, a.data, b.data, output, out->bytes,
              (void *)(engine->arena + op->scratch_offset));
  else if (op->opcode == QC_OP_BATCH_MATMUL)
    qc_batch_matmul(p, a, b, out, output);
  else
    qc_elementwise(op->opcode, p, a, b, out, output);
}

/* Operators with a kernel of their own for int16; 0 for the others. */
static int execute_wide(const qc_engine_t *engine, const qc_operator_t *op, const void *p,
                        qc_operand_t in, const qc_tensor_t *out, int16_t *output) {
  switch (op->opcode) {
  case QC_OP_CONV_2D:
  case QC_OP_DEPTHWISE_CONV_2D:
  case QC_OP_FULLY_CONNECTED:
    convolve_wide(engine, op, p, in, out);
    return 1;
  case QC_OP_AVERAGE_POOL_2D:
    qc_average_pool_s16(&(qc_wide_pool_t){p, dims_of(in.tensor), dims_of(out), in.data, output});
    return 1;
  case QC_OP_MAX_POOL_2D:
    qc_max_pool_s16(&(qc_wide_pool_t){p, dims_of(in.tensor), dims_of(out), in.data, output});
    return 1;
  case QC_OP_MEAN:
    qc_mean_s16(p, in, qc_elements(out), output);
    return 1;
  case QC_OP_SOFTMAX_INT16:
    qc_softmax_s16(p, engine->image.constants, in, output);
    return 1;
  case QC_OP_SIGMOID_INT16:
    qc_sigmoid_s16(p, engine->image.constants, in, output);
    return 1;
  default:
    return 0;
  }
}

/* Operators that move elements to other positions. */
static void execute_move(const qc_engine_t *engine, const qc_operator_t *op, const void *p,
                         qc_operand_t in, const qc_tensor_t *out, void *output) {
  switch (op->opcode) {
  case QC_OP_PAD:
    qc_pad(p, in, out, output);
    break;
  case QC_OP_CONCATENATION:
    concatenate(engine, op, p, out);
    break;
  case QC_OP_SLICE:
    qc_slice(p, in, out, output);
    break;
  default: /* RESIZE */
    qc_resize(p, engine->image.constants, in, out, output);
    break;
  }
}

/* Functions of one element. */
static void execute_element(const qc_engine_t *engine, const qc_operator_t *op, const void *p,
                            qc_operand_t in, const qc_tensor_t *out, void *output) {
  switch (op->opcode) {
  case QC_OP_RESCALE:
    qc_rescale(p, in, out, output);
    break;
  case QC_OP_TABLE:
    qc_table(engine->image.constants + ((const qc_table_params_t *)p)->table_offset, in, output);
    break;
  case QC_OP_QUANTIZE:
    qc_quantize_f32(p, in, out, output);
    break;
  default: /* DEQUANTIZE */
    qc_dequantize_f32(p, in, output);
    break;
  }
}

static void execute_pool(const qc_operator_t *op, const qc_pool_t *pool) {
  if (op->opcode == QC_OP_MAX_POOL_2D)
    qc_max_pool_s8(pool);
  else
    qc_average_pool_s8(pool);
}

/* Of operators whose outputs depend on a whole row of inputs. */
static void execute_row(const qc_engine_t *engine, const qc_operator_t *op, const void *p,
                        qc_operand_t in, const qc_tensor_t *out, void *output) {
  switch (op->opcode) {
  case QC_OP_MEAN:
    qc_mean_s8(p, in, output);
    break;
  case QC_OP_SOFTMAX:
    qc_softmax_s8(p, in, out, output);
    break;
  case QC_OP_ARG_MAX:
    qc_arg_max_s8(p, in, output);
    break;
  case QC_OP_L2_NORMALIZATION:
    qc_l2_normalization_s8(p, in, output);
    break;
  default: /* LSTM */
    qc_lstm(p, engine->image.constants, in, out, output,
            (void *)(engine->arena + op->scratch_offset));
    break;
  }
}

static void execute(const qc_engine_t *engine, const qc_operator_t *op) {
  const qc_tensor_t *out = qc_operator_output(&engine->image, op);
  qc_operand_t in = operand(engine, qc_operator_input(&engine->image, op, 0));
  const void *p = engine->image.params + op->params_offset;
  void *output = arena_at(engine, out);
  qc_conv_t conv;
  if (in.tensor->dtype == QC_INT16 && execute_wide(engine, op, p, in, out, output)) return;
  switch ((qc_opcode_t)op->opcode) {
  case QC_OP_CONV_2D:
    qc_conv2d_s8(conv_of(engine, op, p, in, out, &conv));
    break;
  case QC_OP_DEPTHWISE_CONV_2D:
    qc_depthwise_conv2d_s8(conv_of(engine, op, p, in, out, &conv));
    break;
  case QC_OP_FULLY_CONNECTED:
    qc_fully_connected_s8(conv_of(engine, op, p, in, out, &conv));
    break;
  case QC_OP_TRANSPOSE_CONV:
    qc_transpose_conv2d_s8(conv_of(engine, op, p, in, out, &conv));
    break;
  case QC_OP_BATCH_MATMUL:
  case QC_OP_ADD:
  case QC_OP_SUB:
  case QC_OP_SQUARED_DIFFERENCE:
  case QC_OP_MUL:
  case QC_OP_MINIMUM:
  case QC_OP_MAXIMUM:
  case QC_OP_PRELU:
    combine(engine, op, p, in, out, output);
    break;
  case QC_OP_AVERAGE_POOL_2D:
  case QC_OP_MAX_POOL_2D:
    execute_pool(op, &(qc_pool_t){p, dims_of(in.tensor), dims_of(out), in.data, output});
    break;
  case QC_OP_MEAN:
  case QC_OP_SOFTMAX:
  case QC_OP_ARG_MAX:
  case QC_OP_L2_NORMALIZATION:
  case QC_OP_LSTM:
    execute_row(engine, op, p, in, out, output);
    break;
  case QC_OP_PAD:
  case QC_OP_CONCATENATION:
  case QC_OP_SLICE:
  case QC_OP_RESIZE:
    execute_move(engine, op, p, in, out, output);
    break;
  case QC_OP_RESCALE:
  case QC_OP_TABLE:
  case QC_OP_QUANTIZE:
  case QC_OP_DEQUANTIZE:
    execute_element(engine, op, p, in, out, output);
    break;
  case QC_OP_RESHAPE:       /* elided: the output is the input */
  case QC_OP_SOFTMAX_INT16: /* done above */
  case QC_OP_SIGMOID_INT16:
    break;
  }
}

static qc_status_t load(qc_runtime_t *self, const uint8_t *artefact, size_t bytes, uint8_t *pool,
                        size_t pool_bytes) {
  qc_engine_t *engine = engine_of(self);
  engine->arena = NULL;
  qc_status_t status = qc_image_open(&engine->image, artefact, bytes);
  if (status != QC_OK) return status;
  if ((uintptr_t)pool % 16 != 0) return QC_ERR_ALIGN;
  if (pool_bytes < engine->image.header->arena_bytes) return QC_ERR_NO_MEMORY;
  engine->arena = pool;
  return QC_OK;
}

static uint32_t input_count(const qc_runtime_t *self) {
  const qc_engine_t *engine = engine_of(self);
  return engine->arena ? engine->image.header->inputs : 0;
}

static uint32_t output_count(const qc_runtime_t *self) {
  const qc_engine_t *engine = engine_of(self);
  return engine->arena ? engine->image.header->outputs : 0;
}

static uint32_t operator_count(const qc_runtime_t *self) {
  const qc_engine_t *engine = engine_of(self);
  return engine->arena ? engine->image.header->operators : 0;
}

static uint32_t arena_bytes(const qc_runtime_t *self) {
  const qc_engine_t *engine = engine_of(self);
  return engine->arena ? engine->image.header->arena_bytes : 0;
}

/* The tensor of graph input or output `index`; NULL when there is none. */
static const qc_tensor_t *edge(const qc_runtime_t *self, uint32_t index, int output) {
  const qc_image_t *image = &engine_of(self)->image;
  if (index >= (output ? output_count(self) : input_count(self))) return NULL;
  return &image->tensors[image->lists[index + (output ? image->header->inputs : 0u)]];
}

static qc_status_t describe(const qc_runtime_t *self, uint32_t index, int output, qc_io_t *io) {
  const qc_tensor_t *t = edge(self, index, output);
  if (!engine_of(self)->arena) return QC_ERR_NO_MODEL;
  if (!t) return QC_ERR_ARGUMENT;
  *io = (qc_io_t){t->dtype, t->bytes};
  return QC_OK;
}

static qc_status_t describe_input(const qc_runtime_t *self, uint32_t index, qc_io_t *io) {
  return describe(self, index, 0, io);
}

static qc_status_t describe_output(const qc_runtime_t *self, uint32_t index, qc_io_t *io) {
  return describe(self, index, 1, io);
}

static qc_status_t set_input(qc_runtime_t *self, uint32_t index, uint32_t offset, const void *data,
                             uint32_t bytes) {
  const qc_tensor_t *t = edge(self, index, 0);
  if (!engine_of(self)->arena) return QC_ERR_NO_MODEL;
  if (!t || offset > t->bytes || bytes > t->bytes - offset) return QC_ERR_ARGUMENT;
  qc_copy(arena_at(engine_of(self), t) + offset, data, bytes);
  return QC_OK;
}

static qc_status_t get_output(const qc_runtime_t *self, uint32_t index, uint32_t offset, void *data,
                              uint32_t bytes) {
  const qc_tensor_t *t = edge(self, index, 1);
  if (!engine_of(self)->arena) return QC_ERR_NO_MODEL;
  if (!t || offset > t->bytes || bytes > t->bytes - offset) return QC_ERR_ARGUMENT;
  qc_copy(data, (const uint8_t *)operand(engine_of(self), t).data + offset, bytes);
  return QC_OK;
}

static qc_status_t set_states(qc_runtime_t *self, qc_states_t states) {
  const qc_engine_t *engine = engine_of(self);
  if (!engine->arena) return QC_ERR_NO_MODEL;
  if (states == QC_STATES_AGAIN) return QC_OK; /* no operator writes over them */
  uint32_t from = states == QC_STATES_INITIAL ? QC_TENSOR_INITIAL : QC_TENSOR_AFTER;
  for (uint32_t i = 0; i < engine->image.header->states; i++) {
    const qc_tensor_t *before = qc_state_tensor(&engine->image, i, QC_TENSOR_BEFORE);
    const void *value = operand(engine, qc_state_tensor(&engine->image, i, from)).data;
    if (value != arena_at(engine, before)) qc_copy(arena_at(engine, before), value, before->bytes);
  }
  return QC_OK;
}

static qc_status_t invoke(qc_runtime_t *self, qc_operator_hook_t hook, void *user) {
  const qc_engine_t *engine = engine_of(self);
  if (!engine->arena) return QC_ERR_NO_MODEL;
  for (uint32_t i = 0; i < engine->image.header->operators; i++) {
    const qc_operator_t *op = &engine->image.operators[i];
    execute(engine, op);
    if (!hook) continue;
    const qc_tensor_t *out = qc_operator_output(&engine->image, op);
    const uint32_t source = op->source_index | (uint32_t)op->source_output << 16;
    if (!hook(user, i, source, arena_at(engine, out), out->bytes)) break;
  }
  return QC_OK;
}

qc_runtime_t *qc_harness_runtime(void) {
  static qc_engine_t engine;
  static qc_runtime_t runtime = {
      .name = "quantcheck",
      .version = QC_ENGINE_VERSION,
      .artefact = "qcm",
      .capabilities =
          QC_CAP_OPERATOR_CRC | QC_CAP_TENSOR_FETCH | QC_CAP_PROFILE | QC_CAP_LOAD | QC_CAP_STATES,
      .context = &engine,
      .load = load,
      .input_count = input_count,
      .output_count = output_count,
      .operator_count = operator_count,
      .describe_input = describe_input,
      .describe_output = describe_output,
      .set_input = set_input,
      .set_states = set_states,
      .invoke = invoke,
      .get_output = get_output,
      .arena_bytes = arena_bytes,
  };
  return &runtime;
}

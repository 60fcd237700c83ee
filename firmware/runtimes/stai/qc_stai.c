/* X-CUBE-AI's (ST Edge AI's) C API as a runtime of the harness: the network that `stedgeai generate
 * --c-api st-ai` made is compiled in, under the name "network", its default.
 *
 * QC_STAI_SHA256: 64 hex digits, of the .tflite or .onnx that the network was generated from.
 *
 * Activations, and inputs and outputs that the network does not place there, come from the pool.
 * ST's library fuses operators and says nothing of the source's, so there are no records; ST's own
 * validation firmware has some (protocol = "stai" in the inventory). */
#include <string.h>

#include "network.h"
#include "qc_runtime.h"

#ifndef QC_STAI_SHA256
#error "say of which artefact the network was made: -DQC_STAI_SHA256='\"<64 hex digits>\"'"
#endif

#define MOST 8u
#define ALIGNMENT 32u

typedef struct {
  stai_ptr data;
  const stai_tensor *tensor;
} edge_t;

static struct {
  uint8_t *pool;
  size_t left;
  size_t taken;
  edge_t inputs[MOST];
  edge_t outputs[MOST];
  stai_network_info info;
  int loaded;
} state;

static uint8_t network[STAI_NETWORK_CONTEXT_SIZE]
    __attribute__((aligned(STAI_NETWORK_CONTEXT_ALIGNMENT)));

/* NULL when the pool is used up. */
static stai_ptr take(stai_size bytes) {
  size_t skipped = (size_t)(-(uintptr_t)state.pool % ALIGNMENT);
  if (skipped > state.left || bytes > state.left - skipped) return NULL;
  stai_ptr at = state.pool + skipped;
  state.pool = at + bytes;
  state.left -= skipped + bytes;
  state.taken += skipped + bytes;
  return at;
}

static qc_status_t place_activations(void) {
  stai_ptr at[MOST];
  if (state.info.n_activations > MOST) return QC_ERR_UNSUPPORTED;
  for (uint32_t i = 0; i < state.info.n_activations; i++) {
    at[i] = take(state.info.activations[i].size_bytes);
    if (at[i] == NULL) return QC_ERR_NO_MEMORY;
  }
  stai_return_code code = stai_network_set_activations(network, at, state.info.n_activations);
  return code == STAI_SUCCESS ? QC_OK : QC_ERR_STATE;
}

/* `at` holds where the network has its tensors; what it has nowhere comes from the pool. */
static qc_status_t place(stai_ptr *at, edge_t *edges, const stai_tensor *tensors, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (at[i] == NULL) at[i] = take(tensors[i].size_bytes);
    if (at[i] == NULL) return QC_ERR_NO_MEMORY;
    edges[i] = (edge_t){.data = at[i], .tensor = &tensors[i]};
  }
  return QC_OK;
}

static qc_status_t place_inputs(void) {
  stai_ptr at[MOST] = {NULL};
  stai_size count = state.info.n_inputs;
  if (count > MOST) return QC_ERR_UNSUPPORTED;
  (void)stai_network_get_inputs(network, at, &count);
  qc_status_t status = place(at, state.inputs, state.info.inputs, state.info.n_inputs);
  if (status != QC_OK) return status;
  stai_return_code code = stai_network_set_inputs(network, at, state.info.n_inputs);
  return code == STAI_SUCCESS ? QC_OK : QC_ERR_STATE;
}

static qc_status_t place_outputs(void) {
  stai_ptr at[MOST] = {NULL};
  stai_size count = state.info.n_outputs;
  if (count > MOST) return QC_ERR_UNSUPPORTED;
  (void)stai_network_get_outputs(network, at, &count);
  qc_status_t status = place(at, state.outputs, state.info.outputs, state.info.n_outputs);
  if (status != QC_OK) return status;
  stai_return_code code = stai_network_set_outputs(network, at, state.info.n_outputs);
  return code == STAI_SUCCESS ? QC_OK : QC_ERR_STATE;
}

static qc_status_t load(qc_runtime_t *self, const uint8_t *artefact, size_t bytes, uint8_t *pool,
                        size_t pool_bytes) {
  (void)self;
  if (artefact != NULL || bytes != 0) return QC_ERR_UNSUPPORTED;
  memset(&state, 0, sizeof state);
  state.pool = pool;
  state.left = pool_bytes;
  if (stai_runtime_init() != STAI_SUCCESS) return QC_ERR_STATE;
  if (stai_network_init(network) != STAI_SUCCESS) return QC_ERR_STATE;
  if (stai_network_get_info(network, &state.info) != STAI_SUCCESS) return QC_ERR_STATE;
  qc_status_t status = place_activations();
  if (status == QC_OK) status = place_inputs();
  if (status == QC_OK) status = place_outputs();
  state.loaded = status == QC_OK;
  return status;
}

static uint32_t input_count(const qc_runtime_t *self) {
  (void)self;
  return state.loaded ? state.info.n_inputs : 0;
}

static uint32_t output_count(const qc_runtime_t *self) {
  (void)self;
  return state.loaded ? state.info.n_outputs : 0;
}

static uint32_t operator_count(const qc_runtime_t *self) {
  (void)self;
  return 0;
}

static qc_status_t describe(const stai_tensor *tensor, qc_io_t *io) {
  io->bytes = tensor->size_bytes;
  switch (tensor->format) {
  case STAI_FORMAT_S8:
    io->dtype = QC_INT8;
    return QC_OK;
  case STAI_FORMAT_U8:
    io->dtype = QC_UINT8;
    return QC_OK;
  case STAI_FORMAT_S16:
    io->dtype = QC_INT16;
    return QC_OK;
  case STAI_FORMAT_S32:
    io->dtype = QC_INT32;
    return QC_OK;
  case STAI_FORMAT_FLOAT32:
    io->dtype = QC_FLOAT32;
    return QC_OK;
  default:
    return QC_ERR_TYPE;
  }
}

static qc_status_t describe_input(const qc_runtime_t *self, uint32_t index, qc_io_t *io) {
  if (index >= input_count(self)) return QC_ERR_ARGUMENT;
  return describe(state.inputs[index].tensor, io);
}

static qc_status_t describe_output(const qc_runtime_t *self, uint32_t index, qc_io_t *io) {
  if (index >= output_count(self)) return QC_ERR_ARGUMENT;
  return describe(state.outputs[index].tensor, io);
}

static int outside(const edge_t *edge, uint32_t offset, uint32_t bytes) {
  return offset > edge->tensor->size_bytes || bytes > edge->tensor->size_bytes - offset;
}

static qc_status_t set_input(qc_runtime_t *self, uint32_t index, uint32_t offset, const void *data,
                             uint32_t bytes) {
  if (index >= input_count(self)) return QC_ERR_ARGUMENT;
  const edge_t *edge = &state.inputs[index];
  if (outside(edge, offset, bytes)) return QC_ERR_BOUNDS;
  memcpy(edge->data + offset, data, bytes);
  return QC_OK;
}

static qc_status_t get_output(const qc_runtime_t *self, uint32_t index, uint32_t offset, void *data,
                              uint32_t bytes) {
  if (index >= output_count(self)) return QC_ERR_ARGUMENT;
  const edge_t *edge = &state.outputs[index];
  if (outside(edge, offset, bytes)) return QC_ERR_BOUNDS;
  memcpy(data, edge->data + offset, bytes);
  return QC_OK;
}

static qc_status_t invoke(qc_runtime_t *self, qc_operator_hook_t hook, void *user) {
  (void)self;
  (void)hook;
  (void)user;
  if (!state.loaded) return QC_ERR_NO_MODEL;
  return stai_network_run(network, STAI_MODE_SYNC) == STAI_SUCCESS ? QC_OK : QC_ERR_STATE;
}

static uint32_t arena_bytes(const qc_runtime_t *self) {
  (void)self;
  return (uint32_t)state.taken;
}

qc_runtime_t *qc_harness_runtime(void) {
  static qc_runtime_t runtime = {
      .name = "stai",
      .version = "ST Edge AI",
      .artefact = "builtin:" QC_STAI_SHA256,
      .load = load,
      .input_count = input_count,
      .output_count = output_count,
      .operator_count = operator_count,
      .describe_input = describe_input,
      .describe_output = describe_output,
      .set_input = set_input,
      .invoke = invoke,
      .get_output = get_output,
      .arena_bytes = arena_bytes,
  };
  return &runtime;
}

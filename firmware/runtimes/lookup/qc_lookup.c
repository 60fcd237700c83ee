/* The smallest runtime there is: a chain of look-up tables, y[i] = table[x[i]] for int8 values, one
 * table an operator. It shows what a runtime of your own must do (docs/porting.md) and proves that
 * link, harness and host know nothing of our engine.
 *
 * Artefact "lookup", little-endian: u32 magic "QLT1", u32 elements, u32 operators, then 256 bytes
 * for each operator: the outputs for the inputs -128 ... 127. All operators work in place. */
#include "qc_bytes.h"
#include "qc_runtime.h"

#define MAGIC 0x31544C51u
#define HEADER_BYTES 12u
#define TABLE_BYTES 256u

typedef struct {
  const uint8_t *tables;
  uint32_t operators;
  uint32_t elements;
  int8_t *values;
} lookup_t;

static qc_status_t load(qc_runtime_t *self, const uint8_t *artefact, size_t bytes, uint8_t *pool,
                        size_t pool_bytes) {
  lookup_t *lookup = self->context;
  *lookup = (lookup_t){0};
  if (bytes < HEADER_BYTES) return QC_ERR_SIZE;
  if (qc_get_u32(artefact) != MAGIC) return QC_ERR_MAGIC;
  uint32_t elements = qc_get_u32(artefact + 4);
  uint32_t operators = qc_get_u32(artefact + 8);
  if (operators == 0 || operators != (bytes - HEADER_BYTES) / TABLE_BYTES) return QC_ERR_SIZE;
  if (bytes != HEADER_BYTES + operators * TABLE_BYTES) return QC_ERR_SIZE;
  if (elements == 0) return QC_ERR_SHAPE;
  if (elements > pool_bytes) return QC_ERR_NO_MEMORY;
  *lookup = (lookup_t){
      .tables = artefact + HEADER_BYTES,
      .operators = operators,
      .elements = elements,
      .values = (int8_t *)pool,
  };
  return QC_OK;
}

static uint32_t one(const qc_runtime_t *self) {
  const lookup_t *lookup = self->context;
  return lookup->operators == 0 ? 0 : 1;
}

static uint32_t operator_count(const qc_runtime_t *self) {
  return ((const lookup_t *)self->context)->operators;
}

static qc_status_t describe(const qc_runtime_t *self, uint32_t index, qc_io_t *io) {
  const lookup_t *lookup = self->context;
  if (index >= one(self)) return QC_ERR_ARGUMENT;
  *io = (qc_io_t){.dtype = QC_INT8, .bytes = lookup->elements};
  return QC_OK;
}

static int outside(const lookup_t *lookup, uint32_t index, uint32_t offset, uint32_t bytes) {
  return index != 0 || offset > lookup->elements || bytes > lookup->elements - offset;
}

static qc_status_t set_input(qc_runtime_t *self, uint32_t index, uint32_t offset, const void *data,
                             uint32_t bytes) {
  const lookup_t *lookup = self->context;
  if (outside(lookup, index, offset, bytes)) return QC_ERR_BOUNDS;
  memcpy(lookup->values + offset, data, bytes);
  return QC_OK;
}

static qc_status_t get_output(const qc_runtime_t *self, uint32_t index, uint32_t offset, void *data,
                              uint32_t bytes) {
  const lookup_t *lookup = self->context;
  if (outside(lookup, index, offset, bytes)) return QC_ERR_BOUNDS;
  memcpy(data, lookup->values + offset, bytes);
  return QC_OK;
}

static qc_status_t invoke(qc_runtime_t *self, qc_operator_hook_t hook, void *user) {
  const lookup_t *lookup = self->context;
  if (lookup->operators == 0) return QC_ERR_NO_MODEL;
  for (uint32_t i = 0; i < lookup->operators; i++) {
    const uint8_t *table = lookup->tables + i * TABLE_BYTES;
    for (uint32_t k = 0; k < lookup->elements; k++) {
      lookup->values[k] = (int8_t)table[lookup->values[k] + 128];
    }
    if (hook != NULL && !hook(user, i, i, lookup->values, lookup->elements)) break;
  }
  return QC_OK;
}

static uint32_t arena_bytes(const qc_runtime_t *self) {
  return ((const lookup_t *)self->context)->elements;
}

qc_runtime_t *qc_harness_runtime(void) {
  static lookup_t lookup;
  static qc_runtime_t runtime = {
      .name = "lookup",
      .version = "1",
      .artefact = "lookup",
      .capabilities = QC_CAP_OPERATOR_CRC | QC_CAP_TENSOR_FETCH | QC_CAP_PROFILE | QC_CAP_LOAD,
      .context = &lookup,
      .load = load,
      .input_count = one,
      .output_count = one,
      .operator_count = operator_count,
      .describe_input = describe,
      .describe_output = describe,
      .set_input = set_input,
      .invoke = invoke,
      .get_output = get_output,
      .arena_bytes = arena_bytes,
  };
  return &runtime;
}

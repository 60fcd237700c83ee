/* Where a model and its memory lie.
 *
 *   pool: | image (when in RAM) | the runtime's memory | inputs | operator records |
 *
 * The harness keeps its own copy of the inputs, because a runtime may plan other tensors over them:
 * so an inference can be repeated without sending them again. */
#include "qc_model.h"

#include "qc_crc32.h"
#include "qc_store.h"
#include "qc_text.h"

static void forget(qc_context_t *context) {
  memset(&context->model, 0, sizeof context->model);
  memset(&context->run, 0, sizeof context->run);
  memset(&context->sample, 0, sizeof context->sample);
}

/* Bytes that inputs and records need. Fills in the sizes of the inputs. */
static qc_status_t measure(qc_context_t *context, uint32_t limit, uint32_t *bytes) {
  qc_runtime_t *runtime = context->runtime;
  qc_model_t *model = &context->model;
  uint32_t operators = runtime->operator_count(runtime);
  model->input_count = runtime->input_count(runtime);
  if (model->input_count > QC_INPUTS_MAX) return QC_ERR_UNSUPPORTED;
  if (operators > limit / sizeof(qc_record_t)) return QC_ERR_NO_MEMORY;
  model->record_limit = operators;
  uint32_t total = qc_align_up(operators * (uint32_t)sizeof(qc_record_t), QC_ALIGNMENT);
  for (uint32_t i = 0; i < model->input_count; i++) {
    qc_io_t io;
    qc_status_t status = runtime->describe_input(runtime, i, &io);
    if (status != QC_OK) return status;
    if (io.bytes > limit || total > limit - io.bytes) return QC_ERR_NO_MEMORY;
    model->inputs[i] = (qc_input_t){.bytes = io.bytes};
    total = qc_align_up(total + io.bytes, QC_ALIGNMENT);
  }
  if (total > limit) return QC_ERR_NO_MEMORY;
  *bytes = total;
  return QC_OK;
}

static void place_copies(qc_model_t *model, uint8_t *at) {
  for (uint32_t i = 0; i < model->input_count; i++) {
    model->inputs[i].data = at;
    at += qc_align_up(model->inputs[i].bytes, QC_ALIGNMENT);
  }
  model->records = (qc_record_t *)(void *)at;
}

/* The runtime is loaded twice: only after the first time it can say how large its inputs are, and
 * so how much memory it may really have. */
static qc_status_t load(qc_context_t *context, const uint8_t *image, uint32_t image_bytes,
                        uint8_t *memory, uint32_t memory_bytes) {
  qc_runtime_t *runtime = context->runtime;
  uint32_t copies = 0;
  memory_bytes -= memory_bytes % QC_ALIGNMENT;
  qc_status_t status = runtime->load(runtime, image, image_bytes, memory, memory_bytes);
  if (status == QC_OK) status = measure(context, memory_bytes, &copies);
  if (status == QC_OK) {
    memory_bytes -= copies;
    status = runtime->load(runtime, image, image_bytes, memory, memory_bytes);
  }
  if (status != QC_OK) {
    forget(context);
    return status;
  }
  place_copies(&context->model, memory + memory_bytes);
  context->model.data = image;
  context->model.bytes = image_bytes;
  return QC_OK;
}

uint32_t qc_model_crc(const qc_model_t *model) {
  return model->data == NULL ? 0 : qc_crc32(0, model->data, model->bytes);
}

qc_status_t qc_model_begin_image(qc_context_t *context, uint32_t bytes) {
  if (!(context->runtime->capabilities & QC_CAP_LOAD)) return QC_ERR_UNSUPPORTED;
  if (bytes > context->port.pool_bytes) return QC_ERR_NO_MEMORY;
  forget(context);
  return QC_OK;
}

/* The transfer has filled the bottom of the pool. */
qc_status_t qc_model_load_ram(qc_context_t *context) {
  const qc_transfer_t *transfer = &context->transfer;
  uint8_t *pool = context->port.pool;
  uint32_t used = qc_align_up(transfer->bytes, QC_ALIGNMENT);
  if (used > context->port.pool_bytes) return QC_ERR_NO_MEMORY;
  qc_status_t status =
      load(context, pool, transfer->bytes, pool + used, context->port.pool_bytes - used);
  if (status != QC_OK) return status;
  context->model.place = QC_PLACE_RAM;
  context->model.crc32 = transfer->crc32;
  memcpy(context->model.sha256, transfer->sha256, QC_SHA256_BYTES);
  return QC_OK;
}

/* A runtime with its model compiled in says "builtin:<SHA-256 of the artefact in hex>". */
qc_status_t qc_model_load_builtin(qc_context_t *context) {
  static const char word[] = "builtin";
  const char *name = context->runtime->artefact;
  for (uint32_t i = 0; i < sizeof word - 1; i++) {
    if (name[i] != word[i]) return QC_ERR_UNSUPPORTED;
  }
  name += sizeof word - 1;
  qc_status_t status = load(context, NULL, 0, context->port.pool, context->port.pool_bytes);
  if (status != QC_OK) return status;
  context->model.place = QC_PLACE_BUILTIN;
  if (*name++ != ':') return QC_OK;
  for (uint32_t i = 0; i < QC_SHA256_BYTES; i++, name += 2) {
    int high = qc_text_hex_digit(name[0]);
    int low = high < 0 ? -1 : qc_text_hex_digit(name[1]);
    if (low < 0) break;
    context->model.sha256[i] = (uint8_t)(high << 4 | low);
  }
  return QC_OK;
}

qc_status_t qc_model_select(qc_context_t *context, const uint8_t *sha256) {
  qc_model_t *model = &context->model;
  if (model->place != QC_PLACE_NONE && memcmp(model->sha256, sha256, QC_SHA256_BYTES) == 0) {
    return qc_model_crc(model) == model->crc32 ? QC_OK : QC_ERR_CRC;
  }
  if (!(context->runtime->capabilities & QC_CAP_LOAD)) return QC_ERR_UNSUPPORTED;
  qc_slot_t slot;
  uint32_t at = 0;
  qc_status_t found = QC_ERR_NO_MODEL;
  while (qc_store_next(&context->port, at, &slot, &at)) {
    if (memcmp(slot.sha256, sha256, QC_SHA256_BYTES) != 0) continue;
    if (qc_crc32(0, slot.image, slot.bytes) != slot.crc32) {
      found = QC_ERR_CRC; /* a whole copy may follow */
      continue;
    }
    forget(context);
    found = load(context, slot.image, slot.bytes, context->port.pool, context->port.pool_bytes);
    if (found != QC_OK) return found;
    model->place = QC_PLACE_STORE;
    model->crc32 = slot.crc32;
    memcpy(model->sha256, slot.sha256, QC_SHA256_BYTES);
    return QC_OK;
  }
  return found;
}

/* One function per request; LINK.md has every field. A handler writes the answer's payload and
 * returns QC_OK, or an error whose detail it may set. */
#include "qc_context.h"
#include "qc_crc32.h"
#include "qc_store.h"

#define WINDOW_MAX 16u
#define CHUNK_BYTES (QC_PAYLOAD_MAX - 4u)
#define SLOTS_PER_ANSWER 16u

typedef struct {
  const uint8_t *data; /* the request's payload */
  uint32_t bytes;
  qc_writer_t out;
  uint32_t detail;
} qc_request_t;

typedef qc_status_t (*handler_t)(qc_context_t *context, qc_request_t *request);

void qc_busy(qc_context_t *context) {
  uint8_t operators[4];
  qc_set_u32(operators, context->running ? context->run.operators : 0);
  qc_link_notice(&context->link, QC_FRAME_BUSY, qc_link_sequence(&context->link), operators,
                 sizeof operators);
  qc_port_flush(); /* no transmit interrupt may fall into a counted window */
}

/* As many full frames as the receive ring holds, so that none is lost whatever the device does. */
static uint32_t window(const qc_context_t *context) {
  uint32_t frames = context->port.receive_bytes / QC_LINE_MAX;
  if (context->port.receive_bytes == 0) return 8;
  return frames == 0 ? 1 : frames > WINDOW_MAX ? WINDOW_MAX : frames;
}

static qc_status_t hello(qc_context_t *context, qc_request_t *request) {
  const qc_port_info_t *port = &context->port;
  const qc_model_t *model = &context->model;
  request->detail = QC_PROTOCOL; /* the version first: other versions may send other lengths */
  if (request->bytes < 2 || qc_get_u16(request->data) != QC_PROTOCOL) return QC_ERR_PROTOCOL;
  if (request->bytes != 8) return QC_ERR_SIZE;
  qc_busy(context); /* the CRCs below take their time */
  context->transfer.open = 0;
  qc_writer_t *out = &request->out;
  qc_put_u16(out, QC_PROTOCOL);
  qc_put_u8(out, (port->counts_instructions ? 1u : 0u) | (context->retained.held ? 2u : 0u));
  qc_put_u8(out, (uint32_t)model->place);
  qc_put_u32(out, qc_get_u32(request->data + 4));
  qc_put_u32(out, port->clock_hz);
  qc_put_u32(out, port->firmware_bytes);
  qc_put_u32(out, qc_crc32(0, port->firmware, port->firmware_bytes));
  qc_put_u32(out, context->retained.boot_count);
  qc_put_u32(out, context->runtime->capabilities);
  qc_put_u32(out, port->pool_bytes);
  qc_put_u32(out, port->store == NULL ? 0 : port->store_bytes);
  qc_put_u32(out, port->store_address);
  qc_put_u32(out, port->store_alignment);
  qc_put_u32(out, model->bytes);
  qc_put_u32(out, qc_model_crc(model));
  qc_put(out, model->sha256, QC_SHA256_BYTES);
  qc_put_u16(out, window(context));
  qc_put_u16(out, CHUNK_BYTES);
  qc_put_u32(out, context->link.bad_frames);
  qc_put_u32(out, qc_port_overruns());
  qc_put_u8(out, port->unique_id_bytes);
  qc_put(out, port->unique_id, port->unique_id_bytes);
  qc_put_text(out, port->board);
  qc_put_text(out, port->chip);
  qc_put_text(out, context->runtime->name);
  qc_put_text(out, context->runtime->version);
  qc_put_text(out, context->runtime->artefact);
  qc_put_text(out, qc_build_id);
  return QC_OK;
}

static qc_status_t begin(qc_context_t *context, qc_request_t *request) {
  if (request->bytes != 12 && request->bytes != 12 + QC_SHA256_BYTES) return QC_ERR_SIZE;
  qc_transfer_t transfer = {
      .open = 1,
      .to_image = request->data[0] == 1,
      .index = request->data[1],
      .bytes = qc_get_u32(request->data + 4),
      .crc32 = qc_get_u32(request->data + 8),
  };
  context->transfer.open = 0;
  if (request->data[0] > 1) return QC_ERR_ARGUMENT;
  if (transfer.to_image) {
    if (request->bytes != 12 + QC_SHA256_BYTES) return QC_ERR_SIZE;
    request->detail = context->port.pool_bytes;
    qc_status_t status = qc_model_begin_image(context, transfer.bytes);
    if (status != QC_OK) return status;
    transfer.data = context->port.pool;
    memcpy(transfer.sha256, request->data + 12, QC_SHA256_BYTES);
  } else {
    qc_model_t *model = &context->model;
    if (model->place == QC_PLACE_NONE) return QC_ERR_NO_MODEL;
    if (transfer.index >= model->input_count) return QC_ERR_ARGUMENT;
    request->detail = model->inputs[transfer.index].bytes;
    if (transfer.bytes != model->inputs[transfer.index].bytes) return QC_ERR_SIZE;
    model->inputs[transfer.index].ready = 0;
    transfer.data = model->inputs[transfer.index].data;
  }
  context->transfer = transfer;
  return QC_OK;
}

static qc_status_t data(qc_context_t *context, qc_request_t *request) {
  const qc_transfer_t *transfer = &context->transfer;
  if (!transfer->open) return QC_ERR_STATE;
  if (request->bytes < 4) return QC_ERR_SIZE;
  uint32_t offset = qc_get_u32(request->data);
  uint32_t bytes = request->bytes - 4;
  if (offset > transfer->bytes || bytes > transfer->bytes - offset) return QC_ERR_BOUNDS;
  memcpy(transfer->data + offset, request->data + 4, bytes);
  return QC_OK;
}

static qc_status_t commit(qc_context_t *context, qc_request_t *request) {
  qc_transfer_t *transfer = &context->transfer;
  if (!transfer->open) return QC_ERR_STATE;
  qc_busy(context);
  uint32_t crc = qc_crc32(0, transfer->data, transfer->bytes);
  request->detail = crc;
  if (crc != transfer->crc32) return QC_ERR_CRC; /* still open: the host may send more */
  transfer->open = 0;
  if (transfer->to_image) {
    qc_status_t status = qc_model_load_ram(context);
    if (status != QC_OK) return status;
  } else {
    context->model.inputs[transfer->index].ready = 1;
  }
  qc_put_u32(&request->out, crc);
  return QC_OK;
}

static qc_status_t select_image(qc_context_t *context, qc_request_t *request) {
  if (request->bytes != QC_SHA256_BYTES) return QC_ERR_SIZE;
  qc_busy(context);
  context->transfer.open = 0;
  qc_status_t status = qc_model_select(context, request->data);
  if (status != QC_OK) return status;
  qc_put_u8(&request->out, (uint32_t)context->model.place);
  qc_put_u8(&request->out, 0);
  qc_put_u16(&request->out, 0);
  qc_put_u32(&request->out, context->model.bytes);
  qc_put_u32(&request->out, qc_model_crc(&context->model));
  return QC_OK;
}

static qc_status_t describe(qc_context_t *context, qc_request_t *request) {
  qc_runtime_t *runtime = context->runtime;
  qc_writer_t *out = &request->out;
  if (context->model.place == QC_PLACE_NONE) return QC_ERR_NO_MODEL;
  uint32_t outputs = runtime->output_count(runtime);
  qc_put_u32(out, runtime->arena_bytes(runtime));
  qc_put_u32(out, runtime->operator_count(runtime));
  qc_put_u16(out, context->model.input_count);
  qc_put_u16(out, outputs);
  for (uint32_t i = 0; i < context->model.input_count + outputs; i++) {
    qc_io_t io;
    qc_status_t status =
        i < context->model.input_count
            ? runtime->describe_input(runtime, i, &io)
            : runtime->describe_output(runtime, i - context->model.input_count, &io);
    if (status != QC_OK) return status;
    qc_put_u32(out, io.dtype);
    qc_put_u32(out, io.bytes);
  }
  return out->overflow ? QC_ERR_SIZE : QC_OK;
}

/* All inputs, one after the other, in the request itself. */
static qc_status_t take_inputs(qc_context_t *context, const uint8_t *from, uint32_t bytes) {
  qc_model_t *model = &context->model;
  uint32_t total = 0;
  for (uint32_t i = 0; i < model->input_count; i++) total += model->inputs[i].bytes;
  if (total != bytes) return QC_ERR_SIZE;
  for (uint32_t i = 0; i < model->input_count; i++) {
    memcpy(model->inputs[i].data, from, model->inputs[i].bytes);
    model->inputs[i].ready = 1;
    from += model->inputs[i].bytes;
  }
  return QC_OK;
}

/* All outputs, where `limit` bytes behind the fixed part hold them; else the host reads them. */
static qc_status_t put_outputs(qc_context_t *context, qc_writer_t *out, uint32_t limit,
                               uint8_t *inlined) {
  qc_runtime_t *runtime = context->runtime;
  uint32_t outputs = runtime->output_count(runtime);
  uint32_t start = out->bytes;
  uint32_t room = out->limit - start < limit ? out->limit - start : limit;
  for (uint32_t i = 0; i < outputs; i++) {
    qc_io_t io;
    qc_status_t status = runtime->describe_output(runtime, i, &io);
    if (status != QC_OK) return status;
    if (io.bytes > room - (out->bytes - start)) {
      out->bytes = start;
      return QC_OK;
    }
    status = runtime->get_output(runtime, i, 0, out->data + out->bytes, io.bytes);
    if (status != QC_OK) return status;
    out->bytes += io.bytes;
  }
  *inlined = 1;
  return QC_OK;
}

static qc_status_t run(qc_context_t *context, qc_request_t *request) {
  if (request->bytes < 8) return QC_ERR_SIZE;
  uint32_t flags = request->data[0];
  uint32_t capabilities = context->runtime->capabilities;
  qc_model_t *model = &context->model;
  if (flags > 7) return QC_ERR_ARGUMENT;
  if (model->place == QC_PLACE_NONE) return QC_ERR_NO_MODEL;
  if ((flags & 1) && !(capabilities & (QC_CAP_OPERATOR_CRC | QC_CAP_PROFILE)))
    return QC_ERR_UNSUPPORTED;
  if ((flags & 2) && !(capabilities & QC_CAP_TENSOR_FETCH)) return QC_ERR_UNSUPPORTED;
  context->transfer.open = 0;
  if (flags & 4) {
    qc_status_t status = take_inputs(context, request->data + 8, request->bytes - 8);
    if (status != QC_OK) return status;
  }
  for (uint32_t i = 0; i < model->input_count; i++) {
    request->detail = i;
    if (!model->inputs[i].ready) return QC_ERR_STATE;
  }
  qc_busy(context);
  qc_status_t status = qc_run(context, flags, qc_get_u32(request->data + 4));
  request->detail = context->run.operators;
  if (status != QC_OK) return status;
  qc_writer_t *out = &request->out;
  const qc_run_t *result = &context->run;
  qc_put_u8(out, 0); /* flags, when they are known */
  qc_put_u8(out, 0);
  qc_put_u16(out, 0);
  qc_put_u32(out, result->operators);
  qc_put_u64(out, result->counter);
  qc_put_u32(out, qc_port_stack_peak());
  qc_put_u32(out, result->record_count);
  uint8_t inlined = 0;
  if (!result->stopped) status = put_outputs(context, out, qc_get_u16(request->data + 2), &inlined);
  out->data[0] = (uint8_t)(result->stopped | result->disturbed << 1 | inlined << 2);
  return status;
}

static qc_status_t put_slice(qc_request_t *request, const void *from, uint32_t total,
                             uint32_t offset, uint32_t bytes) {
  request->detail = total;
  if (from == NULL) return QC_ERR_UNSUPPORTED;
  if (offset > total || bytes > total - offset) return QC_ERR_BOUNDS;
  qc_put_u32(&request->out, total);
  qc_put(&request->out, (const uint8_t *)from + offset, bytes);
  return request->out.overflow ? QC_ERR_SIZE : QC_OK;
}

static qc_status_t read_output(qc_context_t *context, qc_request_t *request, uint32_t index,
                               uint32_t offset, uint32_t bytes) {
  qc_runtime_t *runtime = context->runtime;
  qc_io_t io;
  if (context->run.stopped) return QC_ERR_STATE;
  if (index >= runtime->output_count(runtime)) return QC_ERR_ARGUMENT;
  qc_status_t status = runtime->describe_output(runtime, index, &io);
  if (status != QC_OK) return status;
  request->detail = io.bytes;
  if (offset > io.bytes || bytes > io.bytes - offset) return QC_ERR_BOUNDS;
  qc_put_u32(&request->out, io.bytes);
  if (bytes > request->out.limit - request->out.bytes) return QC_ERR_SIZE;
  status =
      runtime->get_output(runtime, index, offset, request->out.data + request->out.bytes, bytes);
  request->out.bytes += bytes;
  return status;
}

static qc_status_t read_result(qc_context_t *context, qc_request_t *request) {
  if (request->bytes != 8) return QC_ERR_SIZE;
  const qc_run_t *result = &context->run;
  if (!result->done) return QC_ERR_STATE;
  uint32_t bytes = qc_get_u16(request->data + 2);
  uint32_t offset = qc_get_u32(request->data + 4);
  switch (request->data[0]) {
  case 0:
    return read_output(context, request, request->data[1], offset, bytes);
  case 1:
    if (!result->stopped) return QC_ERR_STATE;
    return put_slice(request, result->tensor, result->tensor_bytes, offset, bytes);
  case 2:
    return put_slice(request, context->model.records,
                     result->record_count * (uint32_t)sizeof(qc_record_t), offset, bytes);
  default:
    return QC_ERR_ARGUMENT;
  }
}

/* action 0: try a rate; 1: keep the rate that is on trial. The port refuses what it cannot make,
 * so it is asked before the answer is sent at the old rate. */
static qc_status_t set_baud(qc_context_t *context, qc_request_t *request) {
  qc_baud_t *baud = &context->baud;
  if (request->bytes != 8) return QC_ERR_SIZE;
  uint32_t rate = qc_get_u32(request->data);
  uint32_t trial_ms = qc_get_u16(request->data + 4);
  request->detail = baud->rate;
  if (request->data[6] == 1) {
    if (rate != baud->rate) return QC_ERR_STATE;
    baud->fall_back = 0;
    qc_put_u32(&request->out, rate);
    return QC_OK;
  }
  if (request->data[6] != 0 || trial_ms == 0) return QC_ERR_ARGUMENT;
  if (baud->fall_back != 0) return QC_ERR_STATE; /* one trial at a time */
  if (!qc_port_set_baud(rate)) return QC_ERR_UNSUPPORTED;
  (void)qc_port_set_baud(baud->rate);
  qc_put_u32(&request->out, rate);
  baud->fall_back = baud->rate;
  baud->trial_ms = trial_ms;
  baud->rate = rate; /* qc_answer_request switches behind the answer */
  return QC_OK;
}

static qc_status_t echo(qc_context_t *context, qc_request_t *request) {
  (void)context;
  qc_put(&request->out, request->data, request->bytes);
  return QC_OK;
}

/* action 0: read the crash record; 1: read and forget it. */
static qc_status_t fault(qc_context_t *context, qc_request_t *request) {
  if (request->bytes != 1) return QC_ERR_SIZE;
  if (request->data[0] > 1) return QC_ERR_ARGUMENT;
  qc_retained_t *retained = &context->retained;
  qc_writer_t *out = &request->out;
  qc_put_u32(out, retained->held);
  qc_put_u32(out, retained->cause);
  qc_put_u32(out, retained->pc);
  qc_put_u32(out, retained->address);
  qc_put_u32(out, retained->link_register);
  qc_put_u32(out, retained->request);
  qc_put_u32(out, retained->operators);
  qc_put_u32(out, retained->boot_count);
  if (request->data[0] == 1) {
    retained->held = 0;
    qc_retained_save(context);
  }
  return QC_OK;
}

static qc_status_t loop(qc_context_t *context, qc_request_t *request) {
  uint32_t per_round;
  uint32_t fixed;
  if (request->bytes != 4) return QC_ERR_SIZE;
  qc_busy(context);
  uint64_t counted = qc_port_loop(qc_get_u32(request->data));
  qc_port_loop_cost(&per_round, &fixed);
  qc_put_u64(&request->out, counted);
  qc_put_u32(&request->out, per_round);
  qc_put_u32(&request->out, fixed);
  return QC_OK;
}

static qc_status_t counter(qc_context_t *context, qc_request_t *request) {
  if (request->bytes != 0) return QC_ERR_SIZE;
  qc_put_u64(&request->out, qc_port_counter());
  qc_put_u32(&request->out, context->window_cost);
  qc_put_u32(&request->out, qc_port_stack_peak());
  qc_put_u32(&request->out, context->link.bad_frames);
  qc_put_u32(&request->out, qc_port_overruns());
  return QC_OK;
}

/* The slots from an offset on. The answer says where to go on, and when none is left, where free
 * space starts. */
static qc_status_t store(qc_context_t *context, qc_request_t *request) {
  if (request->bytes != 4) return QC_ERR_SIZE;
  if (context->port.store == NULL) return QC_ERR_UNSUPPORTED;
  qc_busy(context);
  uint32_t at = qc_get_u32(request->data);
  if (at > context->port.store_bytes || at % context->port.store_alignment != 0)
    return QC_ERR_ALIGN;
  qc_writer_t *out = &request->out;
  qc_slot_t slot;
  uint32_t slots = 0;
  int more = 1;
  out->bytes = 8; /* where to go on, and how many */
  while (slots < SLOTS_PER_ANSWER && (more = qc_store_next(&context->port, at, &slot, &at)) != 0) {
    qc_put_u32(out, slot.offset);
    qc_put_u32(out, slot.bytes);
    qc_put_u32(out, slot.crc32);
    qc_put_u32(out, qc_crc32(0, slot.image, slot.bytes));
    qc_put(out, slot.sha256, QC_SHA256_BYTES);
    slots++;
  }
  qc_set_u32(out->data, at);
  qc_set_u32(out->data + 4, slots | (more ? 0x80000000u : 0));
  return QC_OK;
}

static qc_status_t reboot(qc_context_t *context, qc_request_t *request) {
  (void)context;
  if (request->bytes != 1) return QC_ERR_SIZE;
  return request->data[0] > 1 ? QC_ERR_ARGUMENT : QC_OK; /* restarts behind the answer */
}

static handler_t handler_of(uint8_t type) {
  static const handler_t handlers[] = {
      [QC_REQ_HELLO] = hello,     [QC_REQ_BEGIN] = begin,         [QC_REQ_DATA] = data,
      [QC_REQ_COMMIT] = commit,   [QC_REQ_SELECT] = select_image, [QC_REQ_DESCRIBE] = describe,
      [QC_REQ_RUN] = run,         [QC_REQ_READ] = read_result,    [QC_REQ_BAUD] = set_baud,
      [QC_REQ_ECHO] = echo,       [QC_REQ_FAULT] = fault,         [QC_REQ_LOOP] = loop,
      [QC_REQ_COUNTER] = counter, [QC_REQ_STORE] = store,         [QC_REQ_REBOOT] = reboot,
  };
  return type < sizeof handlers / sizeof handlers[0] ? handlers[type] : NULL;
}

void qc_answer_request(qc_context_t *context) {
  qc_link_t *link = &context->link;
  uint8_t type = qc_link_type(link);
  handler_t handler = handler_of(type);
  qc_request_t request = {
      .data = qc_link_payload(link),
      .bytes = qc_link_payload_bytes(link),
      .out = qc_link_answer(link),
  };
  qc_status_t status = handler == NULL ? QC_ERR_UNKNOWN : handler(context, &request);
  if (status != QC_OK) {
    qc_link_error(link, status, request.detail);
    return;
  }
  qc_link_reply(link, request.out.bytes);
  if (type == QC_REQ_BAUD && context->baud.fall_back != 0) {
    qc_port_flush();
    (void)qc_port_set_baud(context->baud.rate);
  }
  if (type == QC_REQ_REBOOT) {
    qc_port_flush();
    qc_port_reset(request.data[0]);
  }
}

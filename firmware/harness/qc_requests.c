/* One function per request; LINK.md has every field. A handler writes the answer's payload and
 * returns QC_OK, or an error whose detail it may set. */
#include "qc_requests.h"

#include "qc_build.h"
#include "qc_busy.h"
#include "qc_crc32.h"
#include "qc_model.h"
#include "qc_retained.h"
#include "qc_run.h"
#include "qc_store.h"

#define WINDOW_MAX 16u
#define CHUNK_BYTES (QC_PAYLOAD_MAX - (uint32_t)sizeof(qc_data_t))
#define SLOTS_PER_ANSWER 16u

typedef struct {
  const uint8_t *data; /* the request's payload */
  uint32_t bytes;
  qc_writer_t out;
  uint32_t detail;
} qc_request_t;

typedef qc_status_t (*handler_t)(qc_context_t *context, qc_request_t *request);

/* The request's fixed part; QC_ERR_SIZE where it is shorter. */
static qc_status_t take(const qc_request_t *request, void *fixed, uint32_t bytes) {
  if (request->bytes < bytes) return QC_ERR_SIZE;
  memcpy(fixed, request->data, bytes);
  return QC_OK;
}

/* The same of a request that has nothing else. */
static qc_status_t take_all(const qc_request_t *request, void *fixed, uint32_t bytes) {
  return request->bytes == bytes ? take(request, fixed, bytes) : QC_ERR_SIZE;
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
  qc_hello_request_t asked;
  request->detail = QC_PROTOCOL; /* the version first: other versions may send other lengths */
  if (request->bytes < 2 || qc_get_u16(request->data) != QC_PROTOCOL) return QC_ERR_PROTOCOL;
  if (take_all(request, &asked, sizeof asked) != QC_OK) return QC_ERR_SIZE;
  qc_busy(context); /* the CRCs below take their time */
  context->transfer.open = 0;
  qc_hello_t answer = {
      .protocol = QC_PROTOCOL,
      .flags = (uint8_t)((port->counts_instructions ? QC_HELLO_INSTRUCTIONS : 0u) |
                         (context->retained.held ? QC_HELLO_CRASHED : 0u)),
      .place = (uint8_t)model->place,
      .nonce = asked.nonce,
      .clock_hz = port->clock_hz,
      .firmware_bytes = port->firmware_bytes,
      .firmware_crc32 = qc_crc32(0, port->firmware, port->firmware_bytes),
      .boot_count = context->retained.boot_count,
      .capabilities = context->runtime->capabilities,
      .pool_bytes = port->pool_bytes,
      .store_bytes = port->store == NULL ? 0 : port->store_bytes,
      .store_address = port->store_address,
      .store_alignment = port->store_alignment,
      .image_bytes = model->bytes,
      .image_crc32 = qc_model_crc(model),
      .window = (uint16_t)window(context),
      .chunk = (uint16_t)CHUNK_BYTES,
      .bad_frames = context->link.bad_frames,
      .overruns = qc_port_overruns(),
  };
  memcpy(answer.image_sha256, model->sha256, QC_SHA256_BYTES);
  qc_writer_t *out = &request->out;
  qc_put(out, &answer, sizeof answer);
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

/* An image is named by its SHA-256, an input by its index. */
static qc_status_t begin(qc_context_t *context, qc_request_t *request) {
  qc_begin_t asked;
  const uint32_t named = sizeof asked + QC_SHA256_BYTES;
  if (take(request, &asked, sizeof asked) != QC_OK) return QC_ERR_SIZE;
  if (request->bytes != sizeof asked && request->bytes != named) return QC_ERR_SIZE;
  qc_transfer_t transfer = {
      .open = 1,
      .to_image = asked.target == QC_TARGET_IMAGE,
      .index = asked.index,
      .bytes = asked.bytes,
      .crc32 = asked.crc32,
  };
  context->transfer.open = 0;
  if (asked.target > QC_TARGET_IMAGE) return QC_ERR_ARGUMENT;
  if (transfer.to_image) {
    if (request->bytes != named) return QC_ERR_SIZE;
    request->detail = context->port.pool_bytes;
    qc_status_t status = qc_model_begin_image(context, transfer.bytes);
    if (status != QC_OK) return status;
    transfer.data = context->port.pool;
    memcpy(transfer.sha256, request->data + sizeof asked, QC_SHA256_BYTES);
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
  qc_data_t asked;
  if (!transfer->open) return QC_ERR_STATE;
  if (take(request, &asked, sizeof asked) != QC_OK) return QC_ERR_SIZE;
  uint32_t bytes = request->bytes - (uint32_t)sizeof asked;
  if (asked.offset > transfer->bytes || bytes > transfer->bytes - asked.offset)
    return QC_ERR_BOUNDS;
  memcpy(transfer->data + asked.offset, request->data + sizeof asked, bytes);
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
  qc_put(&request->out, &(qc_committed_t){.crc32 = crc}, sizeof(qc_committed_t));
  return QC_OK;
}

static qc_status_t select_image(qc_context_t *context, qc_request_t *request) {
  if (request->bytes != QC_SHA256_BYTES) return QC_ERR_SIZE;
  qc_busy(context);
  context->transfer.open = 0;
  qc_status_t status = qc_model_select(context, request->data);
  if (status != QC_OK) return status;
  const qc_selected_t answer = {
      .place = (uint8_t)context->model.place,
      .bytes = context->model.bytes,
      .crc32 = qc_model_crc(&context->model),
  };
  qc_put(&request->out, &answer, sizeof answer);
  return QC_OK;
}

static qc_status_t describe(qc_context_t *context, qc_request_t *request) {
  qc_runtime_t *runtime = context->runtime;
  qc_writer_t *out = &request->out;
  if (context->model.place == QC_PLACE_NONE) return QC_ERR_NO_MODEL;
  uint32_t outputs = runtime->output_count(runtime);
  const qc_description_t answer = {
      .arena_bytes = runtime->arena_bytes(runtime),
      .operators = runtime->operator_count(runtime),
      .inputs = (uint16_t)context->model.input_count,
      .outputs = (uint16_t)outputs,
  };
  qc_put(out, &answer, sizeof answer);
  for (uint32_t i = 0; i < context->model.input_count + outputs; i++) {
    qc_io_t io;
    qc_status_t status =
        i < context->model.input_count
            ? runtime->describe_input(runtime, i, &io)
            : runtime->describe_output(runtime, i - context->model.input_count, &io);
    if (status != QC_OK) return status;
    qc_put(out, &(qc_edge_t){.dtype = io.dtype, .bytes = io.bytes}, sizeof(qc_edge_t));
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

static qc_status_t check_run(const qc_context_t *context, uint32_t flags) {
  uint32_t capabilities = context->runtime->capabilities;
  if (flags > QC_RUN_FLAGS) return QC_ERR_ARGUMENT;
  if (context->model.place == QC_PLACE_NONE) return QC_ERR_NO_MODEL;
  if ((flags & QC_RUN_RECORD) && !(capabilities & (QC_CAP_OPERATOR_CRC | QC_CAP_PROFILE)))
    return QC_ERR_UNSUPPORTED;
  if ((flags & QC_RUN_STOP) && !(capabilities & QC_CAP_TENSOR_FETCH)) return QC_ERR_UNSUPPORTED;
  uint32_t states = flags & (QC_RUN_NEXT | QC_RUN_AGAIN);
  if (states == (QC_RUN_NEXT | QC_RUN_AGAIN)) return QC_ERR_ARGUMENT;
  if (states && !(capabilities & QC_CAP_STATES)) return QC_ERR_UNSUPPORTED;
  return QC_OK;
}

static qc_status_t run(qc_context_t *context, qc_request_t *request) {
  qc_run_request_t asked;
  const qc_model_t *model = &context->model;
  qc_status_t status = take(request, &asked, sizeof asked);
  if (status == QC_OK) status = check_run(context, asked.flags);
  if (status != QC_OK) return status;
  context->transfer.open = 0;
  if (asked.flags & QC_RUN_INPUTS) {
    status =
        take_inputs(context, request->data + sizeof asked, request->bytes - (uint32_t)sizeof asked);
    if (status != QC_OK) return status;
  }
  for (uint32_t i = 0; i < model->input_count; i++) {
    request->detail = i;
    if (!model->inputs[i].ready) return QC_ERR_STATE;
  }
  qc_busy(context);
  status = qc_run(context, asked.flags, asked.stop_source);
  request->detail = context->run.operators;
  if (status != QC_OK) return status;
  const qc_run_t *result = &context->run;
  qc_run_answer_t answer = {
      .operators = result->operators,
      .counter = result->counter,
      .stack_bytes = qc_port_stack_peak(),
      .records = result->record_count,
  };
  request->out.bytes = sizeof answer; /* it says which outputs follow, so they come first */
  uint8_t inlined = 0;
  if (!result->stopped) status = put_outputs(context, &request->out, asked.outputs_limit, &inlined);
  answer.flags =
      (uint8_t)((result->stopped ? QC_RUN_STOPPED : 0u) |
                (result->disturbed ? QC_RUN_DISTURBED : 0u) | (inlined ? QC_RUN_OUTPUTS : 0u));
  memcpy(request->out.data, &answer, sizeof answer);
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
  const qc_run_t *result = &context->run;
  qc_read_t asked;
  if (take_all(request, &asked, sizeof asked) != QC_OK) return QC_ERR_SIZE;
  if (!result->done) return QC_ERR_STATE;
  switch (asked.what) {
  case QC_READ_OUTPUT:
    return read_output(context, request, asked.index, asked.offset, asked.bytes);
  case QC_READ_TENSOR:
    if (!result->stopped) return QC_ERR_STATE;
    return put_slice(request, result->tensor, result->tensor_bytes, asked.offset, asked.bytes);
  case QC_READ_RECORDS:
    return put_slice(request, context->model.records,
                     result->record_count * (uint32_t)sizeof(qc_record_t), asked.offset,
                     asked.bytes);
  default:
    return QC_ERR_ARGUMENT;
  }
}

/* The port refuses what it cannot make, so it is asked before the answer is sent at the old rate.
 */
static qc_status_t set_baud(qc_context_t *context, qc_request_t *request) {
  qc_baud_t *baud = &context->baud;
  qc_baud_request_t asked;
  if (take_all(request, &asked, sizeof asked) != QC_OK) return QC_ERR_SIZE;
  request->detail = baud->rate;
  if (asked.action == QC_BAUD_KEEP) {
    if (asked.rate != baud->rate) return QC_ERR_STATE;
    baud->fall_back = 0;
    qc_put_u32(&request->out, asked.rate);
    return QC_OK;
  }
  if (asked.action != QC_BAUD_TRY || asked.trial_ms == 0) return QC_ERR_ARGUMENT;
  if (baud->fall_back != 0) return QC_ERR_STATE; /* one trial at a time */
  if (!qc_port_set_baud(asked.rate)) return QC_ERR_UNSUPPORTED;
  (void)qc_port_set_baud(baud->rate);
  qc_put_u32(&request->out, asked.rate);
  baud->fall_back = baud->rate;
  baud->trial_ms = asked.trial_ms;
  baud->rate = asked.rate; /* qc_answer_request switches behind the answer */
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
  const qc_fault_t answer = {
      .held = retained->held,
      .cause = retained->cause,
      .pc = retained->pc,
      .address = retained->address,
      .link_register = retained->link_register,
      .request = retained->request,
      .operators = retained->operators,
      .boot_count = retained->boot_count,
  };
  qc_put(&request->out, &answer, sizeof answer);
  if (request->data[0] == 1) {
    retained->held = 0;
    qc_retained_save(context);
  }
  return QC_OK;
}

static qc_status_t loop(qc_context_t *context, qc_request_t *request) {
  if (request->bytes != 4) return QC_ERR_SIZE;
  qc_busy(context);
  qc_loop_t answer = {.counted = qc_port_loop(qc_get_u32(request->data))};
  qc_port_loop_cost(&answer.per_round, &answer.fixed);
  qc_put(&request->out, &answer, sizeof answer);
  return QC_OK;
}

static qc_status_t counter(qc_context_t *context, qc_request_t *request) {
  if (request->bytes != 0) return QC_ERR_SIZE;
  const qc_counter_t answer = {
      .counter = qc_port_counter(),
      .window_cost = context->window_cost,
      .stack_bytes = qc_port_stack_peak(),
      .bad_frames = context->link.bad_frames,
      .overruns = qc_port_overruns(),
  };
  qc_put(&request->out, &answer, sizeof answer);
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
  qc_listing_t answer = {0};
  int more = 1;
  out->bytes = sizeof answer; /* it says how many slots follow, so they come first */
  while (answer.slots < SLOTS_PER_ANSWER &&
         (more = qc_store_next(&context->port, at, &slot, &at)) != 0) {
    qc_listed_t listed = {
        .offset = slot.offset,
        .bytes = slot.bytes,
        .crc32 = slot.crc32,
        .crc32_now = qc_crc32(0, slot.image, slot.bytes),
    };
    memcpy(listed.sha256, slot.sha256, QC_SHA256_BYTES);
    qc_put(out, &listed, sizeof listed);
    answer.slots++;
  }
  answer.next = at;
  answer.slots |= more ? QC_STORE_MORE : 0;
  memcpy(out->data, &answer, sizeof answer);
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

/* One inference and what is counted of it.
 *
 * The counter runs while the runtime's invoke() runs, and stands still inside the hook that the
 * runtime calls after each operator. The hook is always there, so a run with records counts exactly
 * what a run without them counts: the sum of the windows between the hooks. What two adjacent reads
 * of the counter differ by is taken off every window. */
#include "qc_run.h"

#include "qc_busy.h"
#include "qc_crc32.h"

/* BUSY after so many counts when the clock is not known. */
#define BUSY_COUNTS 20000000u

uint32_t qc_run_window_cost(void) {
  uint64_t least = ~0ull;
  for (int i = 0; i < 16; i++) {
    uint64_t start = qc_port_counter();
    uint64_t end = qc_port_counter();
    if (end - start < least) least = end - start;
  }
  return (uint32_t)least;
}

/* The counter stands still: book what the operator before did. */
static uint64_t close_window(qc_context_t *context, uint64_t now) {
  qc_run_t *run = &context->run;
  uint64_t counted = now - run->window_start;
  counted = counted > context->window_cost ? counted - context->window_cost : 0;
  run->counter += counted;
  return counted;
}

static void tell_host(qc_context_t *context, uint64_t now) {
  uint32_t patience = context->port.clock_hz != 0 ? context->port.clock_hz / 5 : BUSY_COUNTS;
  if (context->run.silent || now - context->run.last_busy < patience) return;
  qc_busy(context);
  context->run.last_busy = now;
}

static int between_operators(qc_context_t *context, uint64_t now, uint32_t index,
                             uint32_t source_index, const void *output, uint32_t bytes) {
  qc_run_t *run = &context->run;
  uint64_t counted = close_window(context, now);
  run->operators++;
  if (run->record && run->record_count < context->model.record_limit) {
    int wanted = (context->runtime->capabilities & QC_CAP_OPERATOR_CRC) != 0 && output != NULL;
    context->model.records[run->record_count++] = (qc_record_t){
        .index = index,
        .source_index = source_index,
        .crc32 = wanted ? qc_crc32(0, output, bytes) : 0,
        .bytes = bytes,
        .counter = counted,
    };
  }
  if (run->may_stop && source_index == run->stop_source) {
    run->stopped = 1;
    run->tensor = output;
    run->tensor_bytes = bytes;
    return 0;
  }
  tell_host(context, now);
  return 1;
}

static int hook(void *user, uint32_t index, uint32_t source_index, const void *output,
                uint32_t bytes) {
  uint64_t now = qc_port_counter();
  qc_context_t *context = user;
  int go_on = between_operators(context, now, index, source_index, output, bytes);
  context->run.window_start = qc_port_counter();
  return go_on;
}

/* What the states begin with; `last` is the run before this one. */
static qc_status_t set_states(qc_runtime_t *runtime, uint32_t flags, const qc_run_t *last) {
  qc_states_t states = QC_STATES_INITIAL;
  if (flags & QC_RUN_NEXT) states = QC_STATES_NEXT;
  if (flags & QC_RUN_AGAIN) states = QC_STATES_AGAIN;
  if (states == QC_STATES_NEXT && (!last->done || last->stopped)) return QC_ERR_STATE;
  if (states == QC_STATES_AGAIN && !last->started) return QC_ERR_STATE;
  if (!(runtime->capabilities & QC_CAP_STATES)) return QC_OK;
  return runtime->set_states(runtime, states);
}

qc_status_t qc_run(qc_context_t *context, uint32_t flags, uint32_t stop_source) {
  qc_runtime_t *runtime = context->runtime;
  qc_model_t *model = &context->model;
  qc_run_t *run = &context->run;
  qc_status_t status = set_states(runtime, flags, run);
  if (status != QC_OK) return status;
  *run = (qc_run_t){.started = 1,
                    .record = (flags & QC_RUN_RECORD) != 0,
                    .may_stop = (flags & QC_RUN_STOP) != 0,
                    .silent = (flags & QC_RUN_SILENT) != 0,
                    .stop_source = stop_source};
  for (uint32_t i = 0; i < model->input_count; i++) {
    status = runtime->set_input(runtime, i, 0, model->inputs[i].data, model->inputs[i].bytes);
    if (status != QC_OK) return status;
  }
  (void)qc_link_pull(&context->link); /* what came before the window does not disturb it */
  run->last_busy = qc_port_counter();
  context->running = 1;
  run->window_start = qc_port_counter();
  status = runtime->invoke(runtime, hook, context);
  (void)close_window(context, qc_port_counter());
  context->running = 0;
  run->disturbed = qc_link_pull(&context->link) != 0;
  if (status != QC_OK) return status;
  if (run->may_stop && !run->stopped) return QC_ERR_ARGUMENT;
  run->done = 1;
  return QC_OK;
}

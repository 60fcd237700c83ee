/* The main loop: a request comes, its answer goes; in silence, rates that nobody uses end. */
#include "qc_context.h"

static qc_context_t the_context;

qc_context_t *qc_harness_context(void) {
  return &the_context;
}

static void announce(qc_context_t *context) {
  uint8_t payload[8] = {QC_PROTOCOL & 255, QC_PROTOCOL >> 8, (uint8_t)context->retained.held, 0};
  qc_set_u32(payload + 4, context->retained.boot_count);
  qc_link_notice(&context->link, QC_FRAME_BANNER, 0, payload, sizeof payload);
}

static void change_rate(qc_baud_t *baud, uint32_t rate) {
  baud->rate = rate;
  baud->fall_back = 0;
  baud->silence_ms = 0;
  (void)qc_port_set_baud(rate);
}

static void count_silence(qc_baud_t *baud) {
  baud->silence_ms++;
  if (baud->fall_back != 0 && baud->silence_ms >= baud->trial_ms) {
    change_rate(baud, baud->fall_back);
  } else if (baud->rate != QC_BASE_BAUD && baud->silence_ms >= QC_BAUD_LEASE_MS) {
    change_rate(baud, QC_BASE_BAUD);
  }
}

void qc_harness_main(void) {
  qc_context_t *context = &the_context;
  memset(context, 0, sizeof *context);
  qc_port_init(&context->port);
  context->runtime = qc_harness_runtime();
  context->baud.rate = QC_BASE_BAUD;
  qc_retained_boot(context);
  context->window_cost = qc_run_window_cost();
  (void)qc_model_load_builtin(context);
  announce(context);
  for (;;) {
    switch (qc_link_poll(&context->link)) {
    case QC_LINK_REQUEST:
      context->baud.silence_ms = 0;
      qc_answer_request(context);
      break;
    case QC_LINK_NOISE:
      break;
    case QC_LINK_IDLE:
      count_silence(&context->baud);
      (void)qc_port_counter(); /* keeps its extension to 64 bits alive */
      break;
    }
  }
}

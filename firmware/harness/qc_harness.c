/* The main loop: a request comes, its answer goes; in silence, rates that nobody uses end. */
#include "qc_context.h"
#include "qc_mlperf.h"
#include "qc_model.h"
#include "qc_requests.h"
#include "qc_retained.h"
#include "qc_run.h"

/* After a crash at once, since somebody waits; else in front of the first answer, so that hosts of
 * text never see it. */
static void announce(qc_context_t *context) {
  if (context->announced) return;
  context->announced = 1;
  const qc_banner_t banner = {
      .protocol = QC_PROTOCOL,
      .crashed = (uint8_t)context->retained.held,
      .boot_count = context->retained.boot_count,
  };
  qc_link_notice(&context->link, QC_FRAME_BANNER, 0, &banner, sizeof banner);
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
  qc_context_t *context = qc_context();
  memset(context, 0, sizeof *context);
  qc_port_init(&context->port);
  context->runtime = qc_harness_runtime();
  context->baud.rate = QC_BASE_BAUD;
  qc_retained_boot(context);
  context->window_cost = qc_run_window_cost();
  (void)qc_model_load_builtin(context);
  if (context->retained.held) announce(context);
  for (;;) {
    switch (qc_link_poll(&context->link)) {
    case QC_LINK_REQUEST:
      context->baud.silence_ms = 0;
      announce(context);
      qc_answer_request(context);
      break;
    case QC_LINK_TEXT:
      context->baud.silence_ms = 0;
      qc_mlperf_answer(context);
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

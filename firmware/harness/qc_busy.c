#include "qc_busy.h"

void qc_busy(qc_context_t *context) {
  qc_busy_t busy = {.operators = context->running ? context->run.operators : 0};
  qc_link_notice(&context->link, QC_FRAME_BUSY, qc_link_sequence(&context->link), &busy,
                 sizeof busy);
  qc_port_flush(); /* no transmit interrupt may fall into a counted window */
}

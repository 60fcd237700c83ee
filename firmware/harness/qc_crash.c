/* The way out of a fault handler: the record is kept, the chip starts again. */
#include "qc_retained.h"

void qc_harness_crash(uint32_t cause, uint32_t pc, uint32_t address, uint32_t link_register) {
  qc_context_t *context = qc_context();
  qc_retained_t *retained = &context->retained;
  retained->held = 1;
  retained->cause = cause;
  retained->pc = pc;
  retained->address = address;
  retained->link_register = link_register;
  retained->request = qc_link_type(&context->link);
  retained->operators = context->running ? context->run.operators : QC_NO_RUN;
  qc_retained_save(context);
  qc_port_reset(0);
  for (;;) {
  }
}

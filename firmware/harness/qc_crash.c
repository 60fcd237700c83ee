/* What survives a reset: the boot count and the record of the last crash. */
#include "qc_context.h"
#include "qc_crc32.h"

#define RETAINED_MAGIC 0x31524351u /* "QCR1" */
#define NO_RUN 0xFFFFFFFFu

static uint32_t checksum(const qc_retained_t *retained) {
  return qc_crc32(0, retained, (uint32_t)offsetof(qc_retained_t, crc32));
}

static void *place(void) {
  uint32_t bytes = 0;
  void *retained = qc_port_retained(&bytes);
  return bytes >= sizeof(qc_retained_t) ? retained : NULL;
}

void qc_retained_save(qc_context_t *context) {
  void *at = place();
  context->retained.magic = RETAINED_MAGIC;
  context->retained.crc32 = checksum(&context->retained);
  if (at != NULL) memcpy(at, &context->retained, sizeof context->retained);
}

void qc_retained_boot(qc_context_t *context) {
  qc_retained_t *retained = &context->retained;
  const void *at = place();
  if (at != NULL) memcpy(retained, at, sizeof *retained);
  if (at == NULL || retained->magic != RETAINED_MAGIC || retained->crc32 != checksum(retained)) {
    memset(retained, 0, sizeof *retained); /* after a power loss it holds noise */
  }
  retained->boot_count++;
  qc_retained_save(context);
}

void qc_harness_crash(uint32_t cause, uint32_t pc, uint32_t address, uint32_t link_register) {
  qc_context_t *context = qc_harness_context();
  qc_retained_t *retained = &context->retained;
  retained->held = 1;
  retained->cause = cause;
  retained->pc = pc;
  retained->address = address;
  retained->link_register = link_register;
  retained->request = qc_link_type(&context->link);
  retained->operators = context->running ? context->run.operators : NO_RUN;
  qc_retained_save(context);
  qc_port_reset(0);
  for (;;) {
  }
}

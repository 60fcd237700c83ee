#include "qc_retained.h"

#include "qc_crc32.h"

#define RETAINED_MAGIC 0x31524351u /* "QCR1" */

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

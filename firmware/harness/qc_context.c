#include "qc_context.h"

qc_context_t *qc_context(void) {
  static qc_context_t context;
  return &context;
}

#ifndef QC_BUSY_H
#define QC_BUSY_H

#include "qc_context.h"

/* Tells the host that its request is in work. */
void qc_busy(qc_context_t *context);

#endif

/* What survives a reset: the boot count and the record of the last crash. */
#ifndef QC_RETAINED_H
#define QC_RETAINED_H

#include "qc_context.h"

/* Takes over what is there and counts this start. */
void qc_retained_boot(qc_context_t *context);
/* Writes context->retained to the port's place. */
void qc_retained_save(qc_context_t *context);

#endif

/* One inference. */
#ifndef QC_RUN_H
#define QC_RUN_H

#include "qc_context.h"

#define QC_RUN_SILENT 0x100u /* beside the flags of RUN: say nothing while it runs */

/* What an empty counted window counts. */
uint32_t qc_run_window_cost(void);
/* Runs the model on its inputs; `flags` as in RUN, `stop_source` with QC_RUN_STOP. The result is
 * context->run. */
qc_status_t qc_run(qc_context_t *context, uint32_t flags, uint32_t stop_source);

#endif

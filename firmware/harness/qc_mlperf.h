/* MLPerf Tiny's commands, answered with the model that is loaded (LINK.md, section 7). */
#ifndef QC_MLPERF_H
#define QC_MLPERF_H

#include "qc_context.h"

/* Answers the command in context->link.text, and says m-ready. */
void qc_mlperf_answer(qc_context_t *context);

#endif

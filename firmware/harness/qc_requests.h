#ifndef QC_REQUESTS_H
#define QC_REQUESTS_H

#include "qc_context.h"

/* Answers the request that the link holds. */
void qc_answer_request(qc_context_t *context);

#endif

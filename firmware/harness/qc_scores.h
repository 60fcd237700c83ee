/* What MLPerf Tiny calls a model, gives it and reads from it. */
#ifndef QC_SCORES_H
#define QC_SCORES_H

#include "qc_context.h"

/* The benchmark's word for the model that is loaded, known by the sizes of its edges; `room` takes
 * that of any other: "qc-" and the first eight digits of its SHA-256. */
const char *qc_benchmark_name(qc_context_t *context, char room[12]);
/* What turns a byte of the benchmark's samples into one of the model's input: pictures are sent as
 * uint8, and an int8 model wants 128 less. */
uint8_t qc_sample_mask(qc_context_t *context);
/* Writes m-results with what the last run gave. */
qc_status_t qc_say_results(qc_context_t *context);

#endif

/* Our engine as a runtime (qc_runtime.h). It executes device images (SPEC.md). */
#ifndef QC_ENGINE_H
#define QC_ENGINE_H

#include "qc_runtime.h"

#define QC_ENGINE_VERSION "0.1.0"

/* The engine. There is one per firmware: its state is one image and one arena. */
qc_runtime_t *qc_engine_runtime(void);

#endif

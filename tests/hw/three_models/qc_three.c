/* A runtime with one model compiled in: our engine behind a load() that takes nothing over the link. */
#define qc_harness_runtime qc_engine_runtime
#include "../../engine/qc_engine.c"
#undef qc_harness_runtime

#include "model.h" /* written by build.py: MODEL_SHA256, MODEL_IMAGE */

qc_runtime_t *qc_harness_runtime(void);

static const uint8_t image[] __attribute__((aligned(16))) = {MODEL_IMAGE};

static qc_status_t load_built_in(qc_runtime_t *self, const uint8_t *artefact, size_t bytes,
                                 uint8_t *pool, size_t pool_bytes) {
  (void)artefact;
  (void)bytes;
  return qc_engine_runtime()->load(self, image, sizeof image, pool, pool_bytes);
}

qc_runtime_t *qc_harness_runtime(void) {
  static qc_runtime_t runtime;
  runtime = *qc_engine_runtime();
  runtime.name = "three";
  runtime.artefact = "builtin:" MODEL_SHA256;
  runtime.capabilities &= ~(uint32_t)QC_CAP_LOAD;
  runtime.load = load_built_in;
  return &runtime;
}

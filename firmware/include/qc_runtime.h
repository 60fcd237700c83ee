/* What link and harness know of a runtime. Our engine is one; yours may be another
 * (docs/porting.md).
 *
 * A runtime owns no memory: the caller gives it one block of RAM ("pool") at load. All functions
 * return at once with an error code when something does not fit; none may loop for ever.
 */
#ifndef QC_RUNTIME_H
#define QC_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#include "qc_status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { /* data types of inputs, outputs and operator outputs, as in the image format */
       QC_INT8 = 0,
       QC_UINT8 = 1,
       QC_INT16 = 2,
       QC_INT32 = 3,
       QC_FLOAT32 = 4,
};

enum {                                /* capabilities, a bit mask in HELLO */
       QC_CAP_OPERATOR_CRC = 1u << 0, /* CRC-32 of every operator's output */
       QC_CAP_TENSOR_FETCH = 1u << 1, /* run up to an operator and read its output */
       QC_CAP_PROFILE = 1u << 2,      /* counter per operator */
       QC_CAP_LOAD = 1u << 3,         /* takes an artefact over the link or from the store */
       QC_CAP_STATES = 1u << 4,       /* runs models that hand something on to their next run */
};

/* What the states of a model begin a run with. */
typedef enum {
  QC_STATES_INITIAL = 0, /* their first values: a sequence begins */
  QC_STATES_NEXT = 1,    /* what the last run made of them, which went to its end */
  QC_STATES_AGAIN = 2,   /* what the last run began with */
} qc_states_t;

typedef struct {
  uint8_t dtype;
  uint32_t bytes;
} qc_io_t;

/* Called after each operator with its output, in the source layout. An operator with several
 * outputs calls it once for each, with 65536 times the output's number added to source_index.
 * Return 0 to stop the run there (the output stays readable until the next run). */
typedef int (*qc_operator_hook_t)(void *user, uint32_t index, uint32_t source_index,
                                  const void *output, uint32_t bytes);

typedef struct qc_runtime qc_runtime_t;

struct qc_runtime {
  const char *name;     /* "quantcheck", "tflm", ... */
  const char *version;  /* free text */
  const char *artefact; /* what load() takes: "qcm", "tflite" or "builtin" */
  uint32_t capabilities;
  void *context; /* the runtime's own state */

  /* Take an artefact that stays readable at `artefact` until the next load, and memory to work in.
   */
  qc_status_t (*load)(qc_runtime_t *self, const uint8_t *artefact, size_t bytes, uint8_t *pool,
                      size_t pool_bytes);
  uint32_t (*input_count)(const qc_runtime_t *self);
  uint32_t (*output_count)(const qc_runtime_t *self);
  uint32_t (*operator_count)(const qc_runtime_t *self);
  qc_status_t (*describe_input)(const qc_runtime_t *self, uint32_t index, qc_io_t *io);
  qc_status_t (*describe_output)(const qc_runtime_t *self, uint32_t index, qc_io_t *io);
  /* Inputs may be overwritten by invoke: the harness keeps its own copy and sets them again. */
  qc_status_t (*set_input)(qc_runtime_t *self, uint32_t index, uint32_t offset, const void *data,
                           uint32_t bytes);
  /* Run operators 0 .. last (inclusive). `hook` may be NULL. */
  qc_status_t (*invoke)(qc_runtime_t *self, qc_operator_hook_t hook, void *user);
  qc_status_t (*get_output)(const qc_runtime_t *self, uint32_t index, uint32_t offset, void *data,
                            uint32_t bytes);
  /* Bytes of the pool in use: activations, scratch and the runtime's own bookkeeping. */
  uint32_t (*arena_bytes)(const qc_runtime_t *self);
  /* Before every run. NULL without QC_CAP_STATES. */
  qc_status_t (*set_states)(qc_runtime_t *self, qc_states_t states);
};

/* The runtime of this firmware, one per firmware, never NULL. Each runtime implements it. */
qc_runtime_t *qc_harness_runtime(void);

#ifdef __cplusplus
}
#endif

#endif

/* Everything the harness knows, in one object. */
#ifndef QC_CONTEXT_H
#define QC_CONTEXT_H

#include "qc_link.h"
#include "qc_messages.h"
#include "qc_port.h"
#include "qc_runtime.h"
#include "qc_status.h"

#define QC_INPUTS_MAX 8u
#define QC_ALIGNMENT 16u
#define QC_BASE_BAUD 115200u
#define QC_BAUD_LEASE_MS 10000u /* a raised rate ends after so much silence */

typedef struct {
  uint8_t *data; /* the harness's copy, in the pool */
  uint32_t bytes;
  uint8_t ready;
} qc_input_t;

typedef struct {
  qc_place_t place; /* QC_PLACE_NONE: no model can run */
  const uint8_t *data;
  uint32_t bytes;
  uint32_t crc32; /* what it should be */
  uint8_t sha256[QC_SHA256_BYTES];
  uint32_t input_count;
  qc_input_t inputs[QC_INPUTS_MAX];
  qc_record_t *records; /* one per operator, in the pool */
  uint32_t record_limit;
} qc_model_t;

/* A bulk transfer under way. */
typedef struct {
  uint8_t open;
  uint8_t to_image;
  uint8_t index;
  uint8_t *data;
  uint32_t bytes;
  uint32_t crc32;
  uint8_t sha256[QC_SHA256_BYTES];
} qc_transfer_t;

/* A sample that comes as text, into the copy of the model's input. */
typedef struct {
  uint32_t bytes; /* announced; 0: none was */
  uint32_t at;    /* came so far */
  uint8_t mask;   /* every byte is changed by it */
} qc_sample_t;

typedef struct {
  uint8_t record;    /* keep a record per operator */
  uint8_t may_stop;  /* stop after `stop_source` */
  uint8_t silent;    /* no BUSY: the host reads text */
  uint8_t stopped;   /* ... and it did */
  uint8_t done;      /* results can be read */
  uint8_t disturbed; /* bytes came in during the counted window */
  uint8_t started;   /* the states had their values */
  uint32_t stop_source;
  uint32_t operators; /* finished so far; the crash record names it */
  uint32_t record_count;
  uint64_t window_start;
  uint64_t counter;   /* sum of the counted windows */
  uint64_t last_busy; /* counter value when the host last heard of us */
  const void *tensor; /* output of the operator it stopped after */
  uint32_t tensor_bytes;
} qc_run_t;

/* Survives a reset, where the port has a place for it. */
typedef struct {
  uint32_t magic;
  uint32_t boot_count;
  uint32_t held;
  uint32_t cause;
  uint32_t pc;
  uint32_t address;
  uint32_t link_register;
  uint32_t request;
  uint32_t operators; /* finished before it crashed; QC_NO_RUN when none was under way */
  uint32_t crc32;     /* over the fields before */
} qc_retained_t;
_Static_assert(sizeof(qc_retained_t) == 40, "retained"); /* ports keep room for it */

typedef struct {
  uint32_t rate;
  uint32_t fall_back; /* the rate before a trial; 0: no trial */
  uint32_t trial_ms;
  uint32_t silence_ms;
} qc_baud_t;

typedef struct {
  qc_port_info_t port;
  qc_runtime_t *runtime;
  qc_link_t link;
  qc_model_t model;
  qc_transfer_t transfer;
  qc_sample_t sample;
  qc_run_t run;
  qc_baud_t baud;
  qc_retained_t retained; /* the copy in use; written through to the port's place */
  uint32_t window_cost;   /* what an empty counted window counts; taken off every one */
  uint8_t running;
  uint8_t announced; /* the banner has been sent */
} qc_context_t;

/* The one context of this firmware. */
qc_context_t *qc_context(void);

#endif

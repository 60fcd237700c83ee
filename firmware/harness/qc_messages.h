/* What travels over the link, and lies in the store: numbers and payloads (LINK.md). Payloads of a
 * fixed layout are structures here, little-endian as the targets; `0` fields are sent as zero and
 * not looked at. pytest_quantcheck/rig/messages.py has the same on the host. */
#ifndef QC_MESSAGES_H
#define QC_MESSAGES_H

#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "payloads are copied as they are");

#ifndef QC_PROTOCOL
#define QC_PROTOCOL 1
#endif

#define QC_PAYLOAD_MAX 1024u
#define QC_SHA256_BYTES 32u
#define QC_UNIQUE_ID_MAX 16u
#define QC_NO_RUN 0xFFFFFFFFu /* in the crash record: no run was under way */

enum {
  QC_REQ_HELLO = 0x01,
  QC_REQ_BEGIN = 0x02,
  QC_REQ_DATA = 0x03,
  QC_REQ_COMMIT = 0x04,
  QC_REQ_SELECT = 0x05,
  QC_REQ_DESCRIBE = 0x06,
  QC_REQ_RUN = 0x07,
  QC_REQ_READ = 0x08,
  QC_REQ_BAUD = 0x09,
  QC_REQ_ECHO = 0x0A,
  QC_REQ_FAULT = 0x0B,
  QC_REQ_LOOP = 0x0C,
  QC_REQ_COUNTER = 0x0D,
  QC_REQ_STORE = 0x0E,
  QC_REQ_REBOOT = 0x0F,
  QC_REPLY = 0x80, /* added to the request's type */
  QC_FRAME_BANNER = 0xFD,
  QC_FRAME_BUSY = 0xFE,
  QC_FRAME_ERROR = 0xFF,
};

/* --- what the device sends by itself --- */

typedef struct {
  uint16_t protocol;
  uint8_t crashed; /* a crash record is held */
  uint8_t zero;
  uint32_t boot_count;
} qc_banner_t;
_Static_assert(sizeof(qc_banner_t) == 8, "BANNER");

typedef struct {
  uint32_t operators; /* finished in this run */
} qc_busy_t;
_Static_assert(sizeof(qc_busy_t) == 4, "BUSY");

typedef struct {
  uint16_t status; /* qc_status_t */
  uint8_t request; /* its type */
  uint8_t zero;
  uint32_t detail;
} qc_error_t;
_Static_assert(sizeof(qc_error_t) == 8, "ERROR");

/* --- HELLO --- */

typedef struct {
  uint16_t protocol;
  uint16_t zero;
  uint32_t nonce;
} qc_hello_request_t;
_Static_assert(sizeof(qc_hello_request_t) == 8, "HELLO");

typedef enum {
  QC_PLACE_NONE = 0,
  QC_PLACE_RAM = 1,
  QC_PLACE_STORE = 2,
  QC_PLACE_BUILTIN = 3
} qc_place_t;

enum { QC_HELLO_INSTRUCTIONS = 1u, QC_HELLO_CRASHED = 2u };

/* Behind it a byte and the chip's unique id, then six texts. */
typedef struct {
  uint16_t protocol;
  uint8_t flags; /* QC_HELLO_INSTRUCTIONS: what the counter counts; QC_HELLO_CRASHED */
  uint8_t place; /* qc_place_t of the current model */
  uint32_t nonce;
  uint32_t clock_hz; /* 0: not known */
  uint32_t firmware_bytes;
  uint32_t firmware_crc32; /* computed now, as every CRC here */
  uint32_t boot_count;
  uint32_t capabilities; /* QC_CAP_OPERATOR_CRC ... */
  uint32_t pool_bytes;
  uint32_t store_bytes; /* 0: there is none */
  uint32_t store_address;
  uint32_t store_alignment;
  uint32_t image_bytes;
  uint32_t image_crc32;
  uint8_t image_sha256[QC_SHA256_BYTES];
  uint16_t window; /* DATA frames that may be under way */
  uint16_t chunk;  /* bytes in each */
  uint32_t bad_frames;
  uint32_t overruns;
} qc_hello_t;
_Static_assert(sizeof(qc_hello_t) == 96, "HELLO's answer");

/* --- bulk transfer --- */

enum { QC_TARGET_INPUT = 0, QC_TARGET_IMAGE = 1 };

/* Behind it, for an image, its SHA-256. */
typedef struct {
  uint8_t target; /* QC_TARGET_INPUT or QC_TARGET_IMAGE */
  uint8_t index;  /* of the input */
  uint16_t zero;
  uint32_t bytes;
  uint32_t crc32;
} qc_begin_t;
_Static_assert(sizeof(qc_begin_t) == 12, "BEGIN");

typedef struct {
  uint32_t offset; /* of the bytes that follow */
} qc_data_t;
_Static_assert(sizeof(qc_data_t) == 4, "DATA");

typedef struct {
  uint32_t crc32;
} qc_committed_t;
_Static_assert(sizeof(qc_committed_t) == 4, "COMMIT's answer");

/* --- models and inference --- */

typedef struct {
  uint8_t place; /* qc_place_t */
  uint8_t zero;
  uint16_t zeros;
  uint32_t bytes;
  uint32_t crc32;
} qc_selected_t;
_Static_assert(sizeof(qc_selected_t) == 12, "SELECT's answer");

/* Behind it a qc_edge_t for each input and each output. */
typedef struct {
  uint32_t arena_bytes;
  uint32_t operators;
  uint16_t inputs, outputs;
} qc_description_t;
_Static_assert(sizeof(qc_description_t) == 12, "DESCRIBE's answer");

typedef struct {
  uint32_t dtype; /* QC_INT8 ... */
  uint32_t bytes;
} qc_edge_t;
_Static_assert(sizeof(qc_edge_t) == 8, "an input or output");

enum {
  QC_RUN_RECORD = 1u,
  QC_RUN_STOP = 2u,
  QC_RUN_INPUTS = 4u,
  QC_RUN_NEXT = 8u,   /* states go on where the last run ended; without it they begin anew */
  QC_RUN_AGAIN = 16u, /* ... or where the last run began */
  QC_RUN_FLAGS = 31u
};

/* Behind it, with QC_RUN_INPUTS, all inputs. */
typedef struct {
  uint8_t flags;
  uint8_t zero;
  uint16_t outputs_limit; /* most bytes of outputs that the answer may carry */
  uint32_t stop_source;   /* with QC_RUN_STOP */
} qc_run_request_t;
_Static_assert(sizeof(qc_run_request_t) == 8, "RUN");

enum { QC_RUN_STOPPED = 1u, QC_RUN_DISTURBED = 2u, QC_RUN_OUTPUTS = 4u };

/* Behind it, with QC_RUN_OUTPUTS, all outputs. */
typedef struct {
  uint8_t flags;
  uint8_t zero;
  uint16_t zeros;
  uint32_t operators; /* finished */
  uint64_t counter;
  uint32_t stack_bytes; /* most used since start; 0: not known */
  uint32_t records;
} qc_run_answer_t;
_Static_assert(sizeof(qc_run_answer_t) == 24, "RUN's answer");

enum { QC_READ_OUTPUT = 0, QC_READ_TENSOR = 1, QC_READ_RECORDS = 2 };

typedef struct {
  uint8_t what;  /* QC_READ_OUTPUT ... */
  uint8_t index; /* of the output */
  uint16_t bytes;
  uint32_t offset;
} qc_read_t;
_Static_assert(sizeof(qc_read_t) == 8, "READ");

/* What one operator did in the last run that was asked to say so. */
typedef struct {
  uint32_t index; /* in the image */
  uint32_t source_index;
  uint32_t crc32;
  uint32_t bytes;
  uint64_t counter;
} qc_record_t;
_Static_assert(sizeof(qc_record_t) == 24, "operator record");

/* --- the rest --- */

enum { QC_BAUD_TRY = 0, QC_BAUD_KEEP = 1 };

typedef struct {
  uint32_t rate;
  uint16_t trial_ms;
  uint8_t action; /* QC_BAUD_TRY or QC_BAUD_KEEP */
  uint8_t zero;
} qc_baud_request_t;
_Static_assert(sizeof(qc_baud_request_t) == 8, "BAUD");

typedef struct {
  uint32_t held; /* 0: there is no record */
  uint32_t cause, pc, address, link_register;
  uint32_t request;   /* type of the one in work */
  uint32_t operators; /* finished before it crashed, or QC_NO_RUN */
  uint32_t boot_count;
} qc_fault_t;
_Static_assert(sizeof(qc_fault_t) == 32, "FAULT's answer");

/* counted = rounds * per_round + fixed; both 0 where nothing is promised. */
typedef struct {
  uint64_t counted;
  uint32_t per_round, fixed;
} qc_loop_t;
_Static_assert(sizeof(qc_loop_t) == 16, "LOOP's answer");

typedef struct {
  uint64_t counter;
  uint32_t window_cost; /* what an empty counted window counts */
  uint32_t stack_bytes;
  uint32_t bad_frames;
  uint32_t overruns;
} qc_counter_t;
_Static_assert(sizeof(qc_counter_t) == 24, "COUNTER's answer");

#define QC_STORE_MORE 0x80000000u /* in `slots`: more may follow */

/* Behind it a qc_listed_t per slot. */
typedef struct {
  uint32_t next;  /* where to go on; without QC_STORE_MORE: where blank flash begins */
  uint32_t slots; /* how many follow */
} qc_listing_t;
_Static_assert(sizeof(qc_listing_t) == 8, "STORE's answer");

typedef struct {
  uint32_t offset; /* of the slot in the store */
  uint32_t bytes;  /* of the image */
  uint32_t crc32;  /* as written */
  uint32_t crc32_now;
  uint8_t sha256[QC_SHA256_BYTES];
} qc_listed_t;
_Static_assert(sizeof(qc_listed_t) == 48, "a slot in STORE's answer");

#define QC_STORE_MAGIC 0x31534351u /* "QCS1" */

/* A slot of the store starts with it; the image follows. */
typedef struct {
  uint32_t magic; /* QC_STORE_MAGIC */
  uint32_t bytes; /* of the image */
  uint32_t crc32; /* over the whole image */
  uint32_t zero;
  uint8_t sha256[QC_SHA256_BYTES]; /* of the image */
  uint8_t blank[16];
} qc_store_header_t;
_Static_assert(sizeof(qc_store_header_t) == 64, "slot header");

#endif

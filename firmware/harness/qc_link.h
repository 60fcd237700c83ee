/* Frames in and out (LINK.md): COBS, CRC-32, the stored answer. Knows no request's meaning. */
#ifndef QC_LINK_H
#define QC_LINK_H

#include <stdint.h>

#include "qc_bytes.h"
#include "qc_cobs.h"
#include "qc_messages.h"
#include "qc_status.h"
#include "qc_text.h"

#define QC_FRAME_OVERHEAD 6u /* type, sequence number, CRC-32 */
#define QC_FRAME_MAX (QC_PAYLOAD_MAX + QC_FRAME_OVERHEAD)
#define QC_LINE_MAX (QC_COBS_BOUND(QC_FRAME_MAX) + 2u) /* with a zero before and behind */

typedef struct {
  uint8_t input[256]; /* bytes from the port that are not decoded yet */
  uint32_t input_bytes;
  uint32_t input_at;
  qc_cobs_t cobs;
  qc_text_t text;              /* a command between frames */
  uint8_t frame[QC_FRAME_MAX]; /* the frame in work: type, sequence number, payload, CRC */
  uint32_t frame_bytes;
  uint8_t answer[QC_FRAME_MAX]; /* the last answer, for a repeated request */
  uint32_t answer_bytes;
  uint32_t answer_key; /* CRC-32 of the request that it answers */
  uint8_t answer_held;
  uint8_t line[QC_LINE_MAX];
  uint32_t bad_frames; /* received with a wrong CRC, cut off or too long */
} qc_link_t;

typedef enum { QC_LINK_IDLE, QC_LINK_NOISE, QC_LINK_REQUEST, QC_LINK_TEXT } qc_link_event_t;

/* Waits at most about a millisecond. QC_LINK_REQUEST: a new request is in `frame`. A repeated one
 * has been answered already and is reported as noise. QC_LINK_TEXT: a command is in `text`. */
qc_link_event_t qc_link_poll(qc_link_t *link);
/* Takes what the port holds into `input`; returns how many bytes came. */
uint32_t qc_link_pull(qc_link_t *link);
/* Whether `input` holds the zero around a frame: a host of ours speaks. */
int qc_link_frame_waits(const qc_link_t *link);

static inline uint8_t qc_link_type(const qc_link_t *link) {
  return link->frame[0];
}
static inline uint8_t qc_link_sequence(const qc_link_t *link) {
  return link->frame[1];
}
static inline const uint8_t *qc_link_payload(const qc_link_t *link) {
  return link->frame + 2;
}
static inline uint32_t qc_link_payload_bytes(const qc_link_t *link) {
  return link->frame_bytes - QC_FRAME_OVERHEAD;
}

/* The payload of the answer to come. */
qc_writer_t qc_link_answer(qc_link_t *link);
/* Sends the answer and keeps it; an acknowledgement of DATA is not kept. */
void qc_link_reply(qc_link_t *link, uint32_t payload_bytes);
void qc_link_error(qc_link_t *link, qc_status_t status, uint32_t detail);
/* A short frame beside the answer: BUSY, BANNER. */
void qc_link_notice(qc_link_t *link, uint8_t type, uint8_t sequence, const void *payload,
                    uint32_t bytes);

#endif

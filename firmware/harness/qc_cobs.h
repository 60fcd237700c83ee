/* Consistent overhead byte stuffing (Cheshire and Baker, 1999): no zero inside a frame. */
#ifndef QC_COBS_H
#define QC_COBS_H

#include <stdint.h>

/* Bytes that `bytes` of content take at most on the line, without the closing zero. */
#define QC_COBS_BOUND(bytes) ((bytes) + (bytes) / 254 + 1)

/* Encodes without the closing zero; `line` holds QC_COBS_BOUND(bytes). Returns the bytes written.
 */
uint32_t qc_cobs_encode(const uint8_t *data, uint32_t bytes, uint8_t *line);

typedef enum { QC_COBS_MORE, QC_COBS_FRAME, QC_COBS_BROKEN } qc_cobs_event_t;

/* Decodes byte by byte into a buffer of the caller. All zero: ready. */
typedef struct {
  uint32_t bytes;   /* decoded so far; after QC_COBS_FRAME: of the frame */
  uint8_t left;     /* bytes that follow before the next code */
  uint8_t zero_due; /* the block that ends now stands for its bytes and a zero */
  uint8_t broken;   /* too long or cut off: skip to the next zero */
  uint8_t started;
} qc_cobs_t;

/* QC_COBS_FRAME at a zero that ends a frame; empty frames are passed over in silence. */
qc_cobs_event_t qc_cobs_push(qc_cobs_t *cobs, uint8_t byte, uint8_t *buffer, uint32_t limit);

#endif

/* The image store in flash: slots that the host writes with a flash tool and the firmware only
 * reads. A slot starts at a multiple of the port's alignment: qc_store_header_t, then the image. */
#ifndef QC_STORE_H
#define QC_STORE_H

#include "qc_messages.h"
#include "qc_port.h"

typedef struct {
  uint32_t offset; /* of the slot in the store */
  uint32_t bytes;  /* of the image */
  uint32_t crc32;  /* what the header says */
  const uint8_t *sha256;
  const uint8_t *image;
} qc_slot_t;

/* Finds the first slot at or after `offset`. Returns 1, or 0 when there is none; *next is where to
 * go on: behind the slot, or (none left) where free space starts. */
int qc_store_next(const qc_port_info_t *port, uint32_t offset, qc_slot_t *slot, uint32_t *next);

#endif

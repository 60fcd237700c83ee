#include "qc_store.h"

#include "qc_bytes.h"

static int slot_at(const qc_port_info_t *port, uint32_t offset, qc_slot_t *slot) {
  const uint8_t *at = port->store + offset;
  uint32_t room = port->store_bytes - offset - (uint32_t)sizeof(qc_store_header_t);
  qc_store_header_t header;
  memcpy(&header, at, sizeof header);
  if (header.magic != QC_STORE_MAGIC || header.bytes > room) return 0;
  *slot = (qc_slot_t){
      .offset = offset,
      .bytes = header.bytes,
      .crc32 = header.crc32,
      .sha256 = at + offsetof(qc_store_header_t, sha256),
      .image = at + sizeof header,
  };
  return 1;
}

static int is_blank(const uint8_t *data, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; i++) {
    if (data[i] != 0xFF) return 0;
  }
  return 1;
}

/* A write that lost its power leaves neither a slot nor blank flash: such units are passed over,
 * and free space starts behind the last unit that is not blank. */
int qc_store_next(const qc_port_info_t *port, uint32_t offset, qc_slot_t *slot, uint32_t *next) {
  uint32_t unit = port->store_alignment;
  uint32_t free_from = offset;
  if (port->store == NULL || unit < sizeof(qc_store_header_t)) {
    *next = 0;
    return 0;
  }
  for (; offset < port->store_bytes && port->store_bytes - offset >= unit; offset += unit) {
    if (slot_at(port, offset, slot)) {
      uint32_t end = qc_align_up(offset + (uint32_t)sizeof(qc_store_header_t) + slot->bytes, unit);
      *next = end < port->store_bytes ? end : port->store_bytes;
      return 1;
    }
    if (!is_blank(port->store + offset, unit)) free_from = offset + unit;
  }
  *next = free_from;
  return 0;
}

#include "qc_store.h"

#include "qc_bytes.h"

static int slot_at(const qc_port_info_t *port, uint32_t offset, qc_slot_t *slot) {
  const uint8_t *header = port->store + offset;
  uint32_t room = port->store_bytes - offset - QC_STORE_HEADER;
  if (qc_get_u32(header) != QC_STORE_MAGIC || qc_get_u32(header + 4) > room) return 0;
  *slot = (qc_slot_t){
      .offset = offset,
      .bytes = qc_get_u32(header + 4),
      .crc32 = qc_get_u32(header + 8),
      .sha256 = header + 16,
      .image = header + QC_STORE_HEADER,
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
  if (port->store == NULL || unit < QC_STORE_HEADER) {
    *next = 0;
    return 0;
  }
  for (; offset < port->store_bytes && port->store_bytes - offset >= unit; offset += unit) {
    if (slot_at(port, offset, slot)) {
      uint32_t end = qc_align_up(offset + QC_STORE_HEADER + slot->bytes, unit);
      *next = end < port->store_bytes ? end : port->store_bytes;
      return 1;
    }
    if (!is_blank(port->store + offset, unit)) free_from = offset + unit;
  }
  *next = free_from;
  return 0;
}

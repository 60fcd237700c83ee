#include "qc_cobs.h"

uint32_t qc_cobs_encode(const uint8_t *data, uint32_t bytes, uint8_t *line) {
  uint8_t *code = line;
  uint8_t *out = line + 1;
  for (uint32_t i = 0; i < bytes; i++) {
    if (data[i] != 0) *out++ = data[i];
    if (data[i] == 0 || (out - code == 255 && i + 1 < bytes)) {
      *code = (uint8_t)(out - code);
      code = out++;
    }
  }
  *code = (uint8_t)(out - code);
  return (uint32_t)(out - line);
}

static void append(qc_cobs_t *cobs, uint8_t byte, uint8_t *buffer, uint32_t limit) {
  if (cobs->bytes < limit) {
    buffer[cobs->bytes++] = byte;
  } else {
    cobs->broken = 1;
  }
}

qc_cobs_event_t qc_cobs_push(qc_cobs_t *cobs, uint8_t byte, uint8_t *buffer, uint32_t limit) {
  if (byte == 0) {
    int empty = !cobs->started;
    int whole = !cobs->broken && cobs->left == 0;
    uint32_t bytes = cobs->bytes;
    *cobs = (qc_cobs_t){.bytes = bytes};
    return empty ? QC_COBS_MORE : whole ? QC_COBS_FRAME : QC_COBS_BROKEN;
  }
  if (!cobs->started) {
    *cobs = (qc_cobs_t){.started = 1, .left = (uint8_t)(byte - 1), .zero_due = byte != 255};
  } else if (cobs->left != 0) {
    cobs->left--;
    append(cobs, byte, buffer, limit);
  } else {
    if (cobs->zero_due) append(cobs, 0, buffer, limit);
    cobs->left = (uint8_t)(byte - 1);
    cobs->zero_due = byte != 255;
  }
  return QC_COBS_MORE;
}

/* Little-endian fields at any address, and memory functions without libc's headers. */
#ifndef QC_BYTES_H
#define QC_BYTES_H

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

static inline uint16_t qc_get_u16(const uint8_t *at) {
  return (uint16_t)(at[0] | (uint32_t)at[1] << 8);
}

static inline uint32_t qc_get_u32(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline void qc_set_u32(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)value;
  at[1] = (uint8_t)(value >> 8);
  at[2] = (uint8_t)(value >> 16);
  at[3] = (uint8_t)(value >> 24);
}

static inline uint32_t qc_align_up(uint32_t value, uint32_t alignment) {
  uint32_t rest = value % alignment;
  return rest == 0 ? value : value + (alignment - rest);
}

/* Fields appended to a payload. A write that does not fit is left out and remembered. */
typedef struct {
  uint8_t *data;
  uint32_t bytes;
  uint32_t limit;
  uint32_t overflow;
} qc_writer_t;

static inline void qc_put(qc_writer_t *writer, const void *data, uint32_t bytes) {
  if (bytes > writer->limit - writer->bytes) {
    writer->overflow = 1;
    return;
  }
  memcpy(writer->data + writer->bytes, data, bytes);
  writer->bytes += bytes;
}

static inline void qc_put_u8(qc_writer_t *writer, uint32_t value) {
  uint8_t byte = (uint8_t)value;
  qc_put(writer, &byte, 1);
}

static inline void qc_put_u32(qc_writer_t *writer, uint32_t value) {
  uint8_t field[4];
  qc_set_u32(field, value);
  qc_put(writer, field, sizeof field);
}

/* A byte of length, then the text, cut at 255 bytes. */
static inline void qc_put_text(qc_writer_t *writer, const char *text) {
  uint32_t bytes = 0;
  while (text != NULL && bytes < 255 && text[bytes] != '\0') bytes++;
  qc_put_u8(writer, bytes);
  qc_put(writer, text, bytes);
}

#endif

/* Mutations of device images that know the format: records and fields instead of bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "qc_crc32.h"
#include "qc_layout.h"
#include "qc_sections.h"

enum { ROUNDS = 4 };

void fuzz_fail(const char *what) {
  fprintf(stderr, "fuzz: %s\n", what);
  abort();
}

/* splitmix64 (Steele, Lea and Flood, OOPSLA 2014). */
uint32_t fuzz_below(uint64_t *luck, uint32_t bound) {
  uint64_t z = *luck += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return (uint32_t)((z >> 32) % bound);
}

void fuzz_seal_image(uint8_t *image, size_t size) {
  qc_image_header_t h;
  if (size < sizeof h) return;
  memcpy(&h, image, sizeof h);
  h.magic = QC_IMAGE_MAGIC;
  h.version = QC_IMAGE_VERSION;
  h.header_bytes = sizeof h;
  if (h.image_bytes < sizeof h || h.image_bytes > size) h.image_bytes = (uint32_t)size;
  memcpy(image, &h, sizeof h);
  h.crc32 = qc_crc32(0, image + 16, h.image_bytes - 16);
  memcpy(image, &h, sizeof h);
}

typedef struct {
  size_t offset, bytes, record; /* record: bytes of one, 0: the section is no table */
} section_t;

static section_t section(const qc_image_header_t *h, uint32_t which) {
  switch (which) {
  case 0:
    return (section_t){48, sizeof *h - 48, 0};
  case 1:
    return (section_t){h->tensors_offset, h->tensors * sizeof(qc_tensor_t), sizeof(qc_tensor_t)};
  case 2:
    return (section_t){h->operators_offset, h->operators * sizeof(qc_operator_t),
                       sizeof(qc_operator_t)};
  case 3:
    return (section_t){h->lists_offset, 2 * (size_t)h->lists_entries, 2};
  case 4:
    return (section_t){h->params_offset, h->params_bytes, 0};
  default:
    return (section_t){h->constants_offset, h->constants_bytes, sizeof(qc_channel_t)};
  }
}

static uint32_t mutated(uint32_t old, uint64_t *luck) {
  static const uint32_t edges[] = {0,          1,          2,          3,          4,
                                   5,          8,          15,         16,         17,
                                   127,        128,        255,        256,        4095,
                                   4096,       0x7fff,     0x8000,     0xffff,     0x10000,
                                   0x00ffffff, 0x01000000, 0x3fffffff, 0x40000000, 0x7fffffff,
                                   0x80000000, 0xffffff80, 0xfffffff0, 0xffffffff};
  switch (fuzz_below(luck, 7)) {
  case 0:
    return old + 1 + fuzz_below(luck, 4);
  case 1:
    return old - 1 - fuzz_below(luck, 4);
  case 2:
    return old ^ 1u << fuzz_below(luck, 32);
  case 3:
    return fuzz_below(luck, 2) ? old << 1 : old >> 1;
  case 4:
    return fuzz_below(luck, 40);
  case 5:
    return 0u - old;
  default:
    return edges[fuzz_below(luck, sizeof edges / sizeof edges[0])];
  }
}

static void change_field(uint8_t *image, size_t size, uint64_t *luck) {
  static const uint8_t widths[] = {1, 2, 4, 4};
  qc_image_header_t h;
  memcpy(&h, image, sizeof h);
  section_t s = section(&h, fuzz_below(luck, 6));
  if (s.bytes == 0 || s.offset > size || s.bytes > size - s.offset) return;
  uint32_t width = s.record == 2 ? 2 : widths[fuzz_below(luck, 4)];
  size_t at = s.offset + fuzz_below(luck, (uint32_t)s.bytes) / width * width, from = at;
  uint32_t value = 0;
  if (at + width > size) return;
  if (s.record != 0 && fuzz_below(luck, 3) == 0) /* the same field of another record */
    from = s.offset + (at - s.offset) % s.record +
           fuzz_below(luck, (uint32_t)(s.bytes / s.record) + 1) * s.record;
  if (from + width > size) return;
  memcpy(&value, image + from, width);
  if (from == at) value = mutated(value, luck);
  memcpy(image + at, &value, width);
}

/* Sizes that follow from shapes, and an arena that holds all tensors. */
static void repair_tensors(uint8_t *image, size_t size, uint64_t *luck) {
  static const uint8_t items[] = {1, 1, 2, 4, 4};
  qc_image_header_t h;
  memcpy(&h, image, sizeof h);
  section_t s = section(&h, 1);
  if (s.offset > size || s.bytes > size - s.offset) return;
  uint64_t arena = 0;
  for (uint32_t i = 0; i < h.tensors; i++) {
    qc_tensor_t t;
    memcpy(&t, image + s.offset + i * sizeof t, sizeof t);
    uint64_t bytes = t.dtype < sizeof items ? items[t.dtype] : 1;
    for (uint32_t axis = 0; axis < QC_MAX_RANK; axis++) {
      if (axis >= t.rank) t.shape[axis] = 0;
      if (axis < t.rank && bytes < 1u << 30) bytes *= t.shape[axis];
    }
    t.bytes = (uint32_t)bytes;
    if (t.place == QC_PLACE_ARENA && t.offset + bytes > arena) arena = t.offset + bytes;
    memcpy(image + s.offset + i * sizeof t, &t, sizeof t);
  }
  if (arena > h.arena_bytes && arena < 1u << 20) h.arena_bytes = qc_round_up((uint32_t)arena, 16);
  if (fuzz_below(luck, 8) == 0) h.arena_bytes += 16 * fuzz_below(luck, 64);
  memcpy(image, &h, sizeof h);
}

static int tensor_of(const uint8_t *image, size_t size, const qc_image_header_t *h, size_t entry,
                     qc_tensor_t *t) {
  uint16_t index;
  size_t at = h->lists_offset + 2 * entry;
  if (entry >= h->lists_entries || at + 2 > size) return 0;
  memcpy(&index, image + at, 2);
  at = h->tensors_offset + index * sizeof *t;
  if (index >= h->tensors || at + sizeof *t > size) return 0;
  memcpy(t, image + at, sizeof *t);
  return 1;
}

/* An operator with a far window over a wide input, placed behind everything: positions are products
 * of the two. */
static void stretch(uint8_t *image, size_t size, uint64_t *luck) {
  static const uint16_t far[] = {0x7fff, 0x8000, 0xfffe, 0xffff};
  qc_image_header_t h;
  qc_operator_t op;
  qc_tensor_t t;
  uint16_t index;
  memcpy(&h, image, sizeof h);
  section_t operators = section(&h, 2);
  if (h.operators == 0 || operators.offset > size || operators.bytes > size - operators.offset)
    return;
  memcpy(&op, image + operators.offset + fuzz_below(luck, h.operators) * sizeof op, sizeof op);
  if (!tensor_of(image, size, &h, op.list, &t)) return;
  memcpy(&index, image + h.lists_offset + 2 * (size_t)op.list, 2);
  if (t.place == QC_PLACE_ARENA && t.rank > 0 && t.rank <= QC_MAX_RANK) {
    for (uint32_t i = 0; i < t.rank; i++)
      if (t.shape[i] > 8 || fuzz_below(luck, 2)) t.shape[i] = 1;
    uint32_t axis = fuzz_below(luck, t.rank), wide = 0x8000u >> fuzz_below(luck, 8);
    t.shape[axis] = wide | fuzz_below(luck, 64);
    t.offset = qc_round_up(h.arena_bytes, 16);
    memcpy(image + h.tensors_offset + index * sizeof t, &t, sizeof t);
  }
  size_t at = (size_t)h.params_offset + op.params_offset;
  uint32_t fields = op.params_bytes / 2 < 8 ? op.params_bytes / 2 : 8; /* of a window, if any */
  if (fields == 0 || at + op.params_bytes > size) return;
  for (uint32_t left = 1 + fuzz_below(luck, 3); left > 0; left--) {
    size_t field = at + 2 * (size_t)fuzz_below(luck, fields);
    memcpy(image + field, &far[fuzz_below(luck, 4)], 2);
  }
}

/* Sizes of weights and scratch as the packing of a convolution gives them. */
static void repair_conv(uint8_t *image, size_t size, qc_image_header_t *h, qc_operator_t *op) {
  qc_conv_params_t p;
  qc_tensor_t in, out;
  size_t at = (size_t)h->params_offset + op->params_offset;
  if (at + sizeof p > size || !tensor_of(image, size, h, op->list, &in) ||
      !tensor_of(image, size, h, (size_t)op->list + op->inputs, &out) || out.rank < 1 ||
      out.rank > QC_MAX_RANK || in.dtype == QC_INT16)
    return; /* weights next to int16 lie as in the source, without scratch */
  memcpy(&p, image + at, sizeof p);
  uint32_t channels = out.shape[out.rank - 1], scratch;
  p.channels = qc_round_up(channels, 4);
  if (op->opcode == QC_OP_DEPTHWISE_CONV_2D) {
    p.weights_bytes = (uint32_t)p.window.kernel_h * p.window.kernel_w * channels;
    if (in.shape[3] != 0) p.depth_multiplier = channels / in.shape[3];
    scratch = 8u * (qc_plane_rows(&p.window) * qc_plane_width(&p.window, out.shape[2]) +
                    (uint32_t)p.window.kernel_h * p.window.kernel_w);
  } else {
    uint32_t pixels = channels != 0 ? out.bytes / channels : 0, run = 0, column = 0;
    if (op->opcode == QC_OP_CONV_2D) {
      run = qc_run_length(&p.window, in.shape[3]);
      column = qc_column_length(&p.window, in.shape[3]);
    } else if (pixels != 0) {
      column = qc_round_up(in.bytes / pixels, 4);
    }
    p.weights_bytes = p.channels * column;
    scratch = qc_column_scratch(column, run, pixels) + (uint32_t)qc_staged_scratch(&p);
  }
  memcpy(image + at, &p, sizeof p);
  if (scratch > op->scratch_bytes && scratch < 1u << 20) {
    op->scratch_offset = h->arena_bytes;
    op->scratch_bytes = scratch;
    h->arena_bytes += qc_round_up(scratch, 16);
  }
}

static void repair_operators(uint8_t *image, size_t size) {
  qc_image_header_t h;
  memcpy(&h, image, sizeof h);
  section_t s = section(&h, 2);
  if (s.offset > size || s.bytes > size - s.offset) return;
  for (uint32_t i = 0; i < h.operators; i++) {
    qc_operator_t op;
    size_t at = s.offset + i * sizeof op;
    memcpy(&op, image + at, sizeof op);
    if (op.opcode < QC_OP_CONV_2D || op.opcode > QC_OP_FULLY_CONNECTED) continue;
    repair_conv(image, size, &h, &op);
    memcpy(image + at, &op, sizeof op);
  }
  memcpy(image, &h, sizeof h);
}

size_t fuzz_mutate_image(uint8_t *image, size_t size, size_t limit, uint64_t *luck) {
  if (size < sizeof(qc_image_header_t) || fuzz_below(luck, 8) == 0)
    size = LLVMFuzzerMutate(image, size, limit);
  if (size < sizeof(qc_image_header_t)) return size;
  if (fuzz_below(luck, 8) == 0)
    stretch(image, size, luck);
  else
    for (uint32_t left = fuzz_below(luck, ROUNDS); left > 0; left--)
      change_field(image, size, luck);
  if (fuzz_below(luck, 4) != 0) repair_tensors(image, size, luck);
  if (fuzz_below(luck, 4) != 0) repair_operators(image, size);
  if (fuzz_below(luck, 64) != 0) fuzz_seal_image(image, size);
  return size;
}

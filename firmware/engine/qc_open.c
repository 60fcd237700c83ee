/* Opening a device image: header, CRC, sections, tensor and operator records. */
#include "qc_open.h"

#include "qc_check.h"
#include "qc_work.h"

/* CRC-32 (IEEE 802.3, reflected, as zlib). */
static uint32_t crc32_of(const uint8_t *data, size_t bytes) {
  static const uint32_t table[16] = {/* one entry per nibble, polynomial 0xedb88320 */
                                     0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                     0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                     0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                     0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < bytes; i++) {
    crc ^= data[i];
    crc = crc >> 4 ^ table[crc & 15u];
    crc = crc >> 4 ^ table[crc & 15u];
  }
  return ~crc;
}

/* Whether [offset, offset + bytes) lies inside [0, limit). */
static int inside(uint64_t offset, uint64_t bytes, uint64_t limit) {
  return offset <= limit && bytes <= limit - offset;
}

static qc_status_t check_section(const qc_image_header_t *h, uint32_t offset, uint64_t bytes,
                                 uint32_t alignment) {
  if (offset % alignment != 0) return QC_ERR_ALIGN;
  if (offset < sizeof(*h) || !inside(offset, bytes, h->image_bytes)) return QC_ERR_BOUNDS;
  return QC_OK;
}

static qc_status_t check_header(const qc_image_header_t *h, const uint8_t *data, size_t bytes) {
  if (bytes < 16) return QC_ERR_SIZE;
  if ((uintptr_t)data % QC_IMAGE_ALIGNMENT != 0) return QC_ERR_ALIGN;
  if (h->magic != QC_IMAGE_MAGIC) return QC_ERR_MAGIC;
  if (h->version != QC_IMAGE_VERSION) return QC_ERR_VERSION;
  if (h->header_bytes != sizeof(*h) || bytes < sizeof(*h)) return QC_ERR_SIZE;
  if (h->image_bytes < sizeof(*h) || h->image_bytes > bytes) return QC_ERR_SIZE;
  if (crc32_of(data + 16, h->image_bytes - 16u) != h->crc32) return QC_ERR_CRC;
  if (h->arena_bytes % 16 != 0) return QC_ERR_ALIGN;
  if (h->reserved != 0) return QC_ERR_PARAM;
  return QC_OK;
}

static qc_status_t check_sections(const qc_image_header_t *h) {
  const struct {
    uint32_t offset;
    uint64_t bytes;
    uint32_t alignment;
  } sections[] = {
      {h->tensors_offset, (uint64_t)h->tensors * sizeof(qc_tensor_t), 4},
      {h->operators_offset, (uint64_t)h->operators * sizeof(qc_operator_t), 4},
      {h->lists_offset, (uint64_t)h->lists_entries * 2u, 2},
      {h->params_offset, h->params_bytes, 4},
      {h->constants_offset, h->constants_bytes, 16},
  };
  uint64_t end = sizeof(*h); /* sections stand in this order and do not overlap */
  for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
    qc_status_t status =
        check_section(h, sections[i].offset, sections[i].bytes, sections[i].alignment);
    if (status != QC_OK) return status;
    if (sections[i].offset < end) return QC_ERR_BOUNDS;
    end = sections[i].offset + sections[i].bytes;
  }
  return QC_OK;
}

static uint32_t item_bytes(uint8_t dtype) {
  static const uint8_t sizes[] = {
      [QC_INT8] = 1, [QC_UINT8] = 1, [QC_INT16] = 2, [QC_INT32] = 4, [QC_FLOAT32] = 4};
  return dtype < sizeof(sizes) ? sizes[dtype] : 0;
}

static qc_status_t check_tensor(const qc_image_header_t *h, const qc_tensor_t *t) {
  uint64_t bytes = item_bytes(t->dtype);
  if (bytes == 0 || t->place > QC_PLACE_CONSTANT) return QC_ERR_TYPE;
  if (t->flags != 0) return QC_ERR_PARAM;
  if (t->rank > QC_MAX_RANK) return QC_ERR_SHAPE;
  for (uint32_t i = 0; i < QC_MAX_RANK; i++) {
    if (i < t->rank ? t->shape[i] == 0 : t->shape[i] != 0) return QC_ERR_SHAPE;
    if (i < t->rank) bytes *= t->shape[i];
    if (bytes > INT32_MAX) return QC_ERR_SIZE;
  }
  if (bytes != t->bytes) return QC_ERR_SIZE;
  if (t->offset % 16 != 0) return QC_ERR_ALIGN;
  uint32_t limit = t->place == QC_PLACE_ARENA ? h->arena_bytes : h->constants_bytes;
  return inside(t->offset, bytes, limit) ? QC_OK : QC_ERR_BOUNDS;
}

/* Indices of the lists section that name tensors; outputs of operators must not be constants. */
static qc_status_t check_list(const qc_image_t *image, uint32_t first, uint32_t count,
                              int writable) {
  if (!inside(first, count, image->header->lists_entries)) return QC_ERR_BOUNDS;
  for (uint32_t i = first; i < first + count; i++) {
    if (image->lists[i] >= image->header->tensors) return QC_ERR_BOUNDS;
    if (writable && image->tensors[image->lists[i]].place != QC_PLACE_ARENA) return QC_ERR_TYPE;
  }
  return QC_OK;
}

static int overlap(uint32_t a, uint32_t a_bytes, uint32_t b, uint32_t b_bytes) {
  return (uint64_t)a < (uint64_t)b + b_bytes && (uint64_t)b < (uint64_t)a + a_bytes;
}

/* A state's tensors are alike, and its new value lies on no state, at most exactly on its own: so
 * they can be copied one after the other. */
static qc_status_t check_state(const qc_image_t *image, uint32_t i) {
  const qc_tensor_t *before = qc_state_tensor(image, i, QC_TENSOR_BEFORE);
  const qc_tensor_t *after = qc_state_tensor(image, i, QC_TENSOR_AFTER);
  const qc_tensor_t *initial = qc_state_tensor(image, i, QC_TENSOR_INITIAL);
  if (before->place != QC_PLACE_ARENA || after->place != QC_PLACE_ARENA) return QC_ERR_TYPE;
  if (initial->place != QC_PLACE_CONSTANT) return QC_ERR_TYPE;
  if (before->dtype != after->dtype || before->dtype != initial->dtype) return QC_ERR_TYPE;
  if (before->bytes != after->bytes || before->bytes != initial->bytes) return QC_ERR_SIZE;
  for (uint32_t k = 0; k < image->header->states; k++) {
    const qc_tensor_t *other = qc_state_tensor(image, k, QC_TENSOR_BEFORE);
    if (k != i && overlap(before->offset, before->bytes, other->offset, other->bytes))
      return QC_ERR_BOUNDS;
    if (k == i && after->offset == before->offset) continue;
    if (overlap(after->offset, after->bytes, other->offset, other->bytes)) return QC_ERR_BOUNDS;
  }
  return QC_OK;
}

/* Whether a range of the arena meets a state as a run begins with it, which nothing may write over.
 */
static int meets_state(const qc_image_t *image, uint32_t offset, uint32_t bytes) {
  for (uint32_t i = 0; i < image->header->states; i++) {
    const qc_tensor_t *before = qc_state_tensor(image, i, QC_TENSOR_BEFORE);
    if (overlap(before->offset, before->bytes, offset, bytes)) return 1;
  }
  return 0;
}

static qc_status_t check_states(const qc_image_t *image) {
  const qc_image_header_t *h = image->header;
  uint32_t edges = (uint32_t)h->inputs + h->outputs;
  if (h->states > QC_STATES) return QC_ERR_UNSUPPORTED;
  qc_status_t status = check_list(image, edges, (uint32_t)h->states * QC_STATE_ENTRIES, 0);
  for (uint32_t i = 0; status == QC_OK && i < h->states; i++) status = check_state(image, i);
  for (uint32_t i = 0; status == QC_OK && i < h->inputs; i++) {
    const qc_tensor_t *in = &image->tensors[image->lists[i]];
    if (meets_state(image, in->offset, in->bytes)) status = QC_ERR_BOUNDS;
  }
  return status;
}

/* Inputs, output and scratch of one operator must lie apart in the arena. */
static qc_status_t check_overlap(const qc_image_t *image, const qc_operator_t *op) {
  const qc_tensor_t *out = qc_operator_output(image, op);
  if (overlap(op->scratch_offset, op->scratch_bytes, out->offset, out->bytes)) return QC_ERR_BOUNDS;
  if (meets_state(image, op->scratch_offset, op->scratch_bytes)) return QC_ERR_BOUNDS;
  if (op->state == QC_STATE_EXECUTED && meets_state(image, out->offset, out->bytes))
    return QC_ERR_BOUNDS;
  for (uint32_t i = 0; i < op->inputs; i++) {
    const qc_tensor_t *in = qc_operator_input(image, op, i);
    if (in->place != QC_PLACE_ARENA) continue;
    if (overlap(op->scratch_offset, op->scratch_bytes, in->offset, in->bytes)) return QC_ERR_BOUNDS;
    if (!overlap(in->offset, in->bytes, out->offset, out->bytes)) continue;
    if (!qc_opcode_facts(op->opcode)->in_place || in->offset != out->offset ||
        in->bytes != out->bytes)
      return QC_ERR_BOUNDS;
  }
  return QC_OK;
}

static qc_status_t check_operator(const qc_image_t *image, const qc_operator_t *op) {
  const qc_image_header_t *h = image->header;
  const qc_opcode_facts_t *facts = qc_opcode_facts(op->opcode);
  if (!facts) return QC_ERR_TYPE;
  if (op->state > QC_STATE_FUSED) return QC_ERR_TYPE;
  if (op->state == QC_STATE_FUSED) return QC_ERR_UNSUPPORTED;
  if ((op->state == QC_STATE_ELIDED) != (op->opcode == QC_OP_RESHAPE)) return QC_ERR_PARAM;
  if (op->reserved != 0) return QC_ERR_PARAM;
  if (op->inputs == 0 || op->outputs != 1) return QC_ERR_SIZE;
  if (facts->inputs != 0 && op->inputs != facts->inputs) return QC_ERR_SIZE;
  if (op->params_bytes != facts->params_bytes) return QC_ERR_SIZE;
  qc_status_t status = check_list(image, op->list, op->inputs, 0);
  if (status == QC_OK) status = check_list(image, op->list + op->inputs, op->outputs, 1);
  if (status != QC_OK) return status;
  if (op->params_offset % 4 != 0 || op->scratch_offset % 16 != 0) return QC_ERR_ALIGN;
  if (!inside(op->params_offset, op->params_bytes, h->params_bytes)) return QC_ERR_BOUNDS;
  if (!inside(op->scratch_offset, op->scratch_bytes, h->arena_bytes)) return QC_ERR_BOUNDS;
  status = check_overlap(image, op);
  return status == QC_OK ? qc_operator_check(image, op) : status;
}

qc_status_t qc_image_open(qc_image_t *image, const uint8_t *data, size_t bytes) {
  const qc_image_header_t *h = (const void *)data;
  qc_status_t status = check_header(h, data, bytes);
  if (status == QC_OK) status = check_sections(h);
  if (status != QC_OK) return status;
  image->header = h;
  image->tensors = (const void *)(data + h->tensors_offset);
  image->operators = (const void *)(data + h->operators_offset);
  image->lists = (const void *)(data + h->lists_offset);
  image->params = data + h->params_offset;
  image->constants = data + h->constants_offset;
  for (uint32_t i = 0; i < h->tensors; i++) {
    status = check_tensor(h, &image->tensors[i]);
    if (status != QC_OK) return status;
  }
  status = check_list(image, 0, h->inputs, 1);
  if (status == QC_OK) status = check_list(image, h->inputs, h->outputs, 0);
  if (status == QC_OK) status = check_states(image);
  if (status != QC_OK) return status;
  uint64_t work = 0;
  for (uint32_t i = 0; i < h->operators; i++) {
    status = check_operator(image, &image->operators[i]);
    if (status != QC_OK) return status;
    work += qc_operator_work(image, &image->operators[i]);
    if (work > QC_WORK_LIMIT) return QC_ERR_UNSUPPORTED;
  }
  return QC_OK;
}

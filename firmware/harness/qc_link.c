#include "qc_link.h"

#include "qc_crc32.h"
#include "qc_port.h"

uint32_t qc_link_pull(qc_link_t *link) {
  if (link->input_at == link->input_bytes) link->input_at = link->input_bytes = 0;
  uint32_t came = qc_port_read(link->input + link->input_bytes,
                               (uint32_t)sizeof link->input - link->input_bytes);
  link->input_bytes += came;
  return came;
}

int qc_link_frame_waits(const qc_link_t *link) {
  for (uint32_t i = link->input_at; i < link->input_bytes; i++)
    if (link->input[i] == 0) return 1;
  return 0;
}

/* `frame` holds type, sequence number and payload, with room for the CRC. */
static void send(qc_link_t *link, uint8_t *frame, uint32_t bytes) {
  qc_set_u32(frame + bytes, qc_crc32(0, frame, bytes));
  link->line[0] = 0; /* ends whatever noise stands on the line */
  uint32_t coded = qc_cobs_encode(frame, bytes + 4, link->line + 1);
  link->line[1 + coded] = 0;
  qc_port_write(link->line, coded + 2);
}

/* A frame is complete in the buffer: is it whole, and new? */
static qc_link_event_t judge(qc_link_t *link) {
  uint32_t bytes = link->cobs.bytes;
  if (bytes < QC_FRAME_OVERHEAD ||
      qc_get_u32(link->frame + bytes - 4) != qc_crc32(0, link->frame, bytes - 4)) {
    link->bad_frames++;
    return QC_LINK_NOISE;
  }
  link->frame_bytes = bytes;
  uint32_t key = qc_get_u32(link->frame + bytes - 4);
  if (link->answer_held && link->answer_key == key && link->answer[1] == link->frame[1]) {
    send(link, link->answer, link->answer_bytes);
    return QC_LINK_NOISE;
  }
  link->answer_held = 0;
  link->answer_key = key;
  return QC_LINK_REQUEST;
}

qc_link_event_t qc_link_poll(qc_link_t *link) {
  if (link->input_at == link->input_bytes && qc_link_pull(link) == 0) {
    qc_text_silence(&link->text);
    return QC_LINK_IDLE;
  }
  while (link->input_at < link->input_bytes) {
    uint8_t byte = link->input[link->input_at++];
    if (qc_text_push(&link->text, byte)) {
      link->cobs = (qc_cobs_t){0}; /* what came was no frame */
      return QC_LINK_TEXT;
    }
    switch (qc_cobs_push(&link->cobs, byte, link->frame, sizeof link->frame)) {
    case QC_COBS_FRAME:
      if (judge(link) == QC_LINK_REQUEST) return QC_LINK_REQUEST;
      break;
    case QC_COBS_BROKEN:
      link->bad_frames++;
      break;
    case QC_COBS_MORE:
      break;
    }
  }
  return QC_LINK_NOISE;
}

qc_writer_t qc_link_answer(qc_link_t *link) {
  return (qc_writer_t){.data = link->answer + 2, .limit = QC_PAYLOAD_MAX};
}

static void answer(qc_link_t *link, uint8_t type, uint32_t payload_bytes) {
  link->answer[0] = type;
  link->answer[1] = qc_link_sequence(link);
  link->answer_bytes = 2 + payload_bytes;
  link->answer_held = qc_link_type(link) != QC_REQ_DATA;
  send(link, link->answer, link->answer_bytes);
}

void qc_link_reply(qc_link_t *link, uint32_t payload_bytes) {
  answer(link, qc_link_type(link) | QC_REPLY, payload_bytes);
}

void qc_link_error(qc_link_t *link, qc_status_t status, uint32_t detail) {
  qc_writer_t writer = qc_link_answer(link);
  const qc_error_t error = {
      .status = (uint16_t)status, .request = qc_link_type(link), .detail = detail};
  qc_put(&writer, &error, sizeof error);
  answer(link, QC_FRAME_ERROR, writer.bytes);
}

void qc_link_notice(qc_link_t *link, uint8_t type, uint8_t sequence, const void *payload,
                    uint32_t bytes) {
  uint8_t frame[32 + QC_FRAME_OVERHEAD] = {type, sequence};
  if (bytes > 32) bytes = 32;
  memcpy(frame + 2, payload, bytes);
  send(link, frame, 2 + bytes);
}

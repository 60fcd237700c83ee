/* Fuzz target: the harness of the firmware on a port whose line the fuzzer holds.
 *
 * Input: a script, items one behind the other, each a byte that says what and its fields:
 *
 * - 0 noise: u8 n, n bytes, straight onto the line
 * - 1 frame: u8 type, u16 n, n bytes, its payload; CRC-32 and stuffing as they should be
 * - 2 damaged: u8 type, u8 n, n bytes, u16 where, u8 what: one byte of its line changed
 * - 3 again: the last frame once more
 * - 4 silence: u8 n: 128 * n idle rounds
 * - 5 image: u16 n, n bytes: into RAM (BEGIN, DATA, COMMIT), its CRCs renewed
 * - 6 input: u8 index, u8 n, n bytes: of the current model, these bytes over and over
 * - 7 flash: u16 offset, u8 n, n bytes: what someone writes into the store
 * - 8 slot: u8 unit, u16 n, n bytes: an image as a slot of the store, named 32 times `unit`
 * - 9 text: u8 which, u8 n, n bytes: a command of the text protocol, these bytes behind it
 *
 * Whatever the script did, afterwards the device answers HELLO, and all it ever sent were frames
 * and text.
 */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "qc_cobs.h"
#include "qc_context.h"
#include "qc_crc32.h"
#include "qc_image.h"
#include "qc_store.h"

enum {
  POOL_BYTES = 1 << 15,
  STORE_BYTES = 1 << 14,
  STORE_UNIT = 256,
  LINE_BYTES = 1 << 17,
  CHUNK_BYTES = QC_PAYLOAD_MAX - 4,
  RESTARTS = 8,
  PATIENCE = 16384, /* a raised rate is given up after 10,000 */
};

enum { NOISE, FRAME, DAMAGED, AGAIN, SILENCE, IMAGE, INPUT, FLASH, SLOT, TEXT, KINDS };
enum { RUNNING, RESTARTED, DONE }; /* how the harness is left */

static struct {
  const uint8_t *script;
  size_t left;
  uint8_t line[LINE_BYTES]; /* on the way to the device */
  uint32_t at, bytes;
  uint8_t last[QC_LINE_MAX];
  uint32_t last_bytes, silence;
  uint32_t quiet; /* idle rounds that the script may still ask for */
  uint8_t sequence;
  int asked, answered; /* the HELLO at the end */
  uint32_t patience;   /* empty reads after it; a RUN reads twice by itself */
  uint64_t counter;
  uint8_t retained[128];
  uint8_t *pool, *store;
  jmp_buf leave;
} bench;

/* --- script
 * ---------------------------------------------------------------------------------
 */

static uint32_t take(uint32_t width) {
  uint32_t value = 0;
  for (uint32_t i = 0; i < width && bench.left > 0; i++, bench.left--)
    value |= (uint32_t)*bench.script++ << (8 * i);
  return value;
}

static const uint8_t *take_bytes(uint32_t *bytes) {
  const uint8_t *data = bench.script;
  if (*bytes > bench.left) *bytes = (uint32_t)bench.left;
  bench.script += *bytes;
  bench.left -= *bytes;
  return data;
}

static void put_line(const uint8_t *data, uint32_t bytes) {
  if (bytes > LINE_BYTES - bench.bytes) fuzz_fail("the line is too short for an item");
  if (bytes > 0) memcpy(bench.line + bench.bytes, data, bytes);
  bench.bytes += bytes;
}

static void put_frame(uint32_t type, const uint8_t *payload, uint32_t bytes) {
  uint8_t frame[QC_FRAME_MAX] = {(uint8_t)type, bench.sequence++};
  if (bytes > QC_PAYLOAD_MAX) bytes = QC_PAYLOAD_MAX;
  if (bytes > 0) memcpy(frame + 2, payload, bytes);
  qc_set_u32(frame + 2 + bytes, qc_crc32(0, frame, 2 + bytes));
  bench.last_bytes = qc_cobs_encode(frame, bytes + QC_FRAME_OVERHEAD, bench.last);
  bench.last[bench.last_bytes++] = 0;
  put_line(bench.last, bench.last_bytes);
}

static void put_damaged_frame(void) {
  uint32_t type = take(1), bytes = take(1);
  const uint8_t *payload = take_bytes(&bytes);
  uint32_t start = bench.bytes;
  put_frame(type, payload, bytes);
  bench.line[start + take(2) % bench.last_bytes] ^= (uint8_t)take(1);
}

/* BEGIN, DATA and COMMIT as a host sends them. */
static void put_bulk(uint8_t target, uint8_t index, const uint8_t *data, uint32_t bytes) {
  uint8_t begin[12 + QC_SHA256_BYTES] = {target, index};
  uint8_t chunk[QC_PAYLOAD_MAX];
  qc_set_u32(begin + 4, bytes);
  qc_set_u32(begin + 8, qc_crc32(0, data, bytes));
  put_frame(QC_REQ_BEGIN, begin, target == 1 ? sizeof begin : 12);
  for (uint32_t at = 0; at < bytes;) {
    uint32_t part = bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES;
    qc_set_u32(chunk, at);
    memcpy(chunk + 4, data + at, part);
    put_frame(QC_REQ_DATA, chunk, 4 + part);
    at += part;
  }
  put_frame(QC_REQ_COMMIT, NULL, 0);
}

static uint8_t *take_image(uint32_t *bytes) {
  *bytes = take(2);
  const uint8_t *data = take_bytes(bytes);
  uint8_t *image = malloc(*bytes ? *bytes : 1);
  if (*bytes > 0) memcpy(image, data, *bytes);
  fuzz_seal_image(image, *bytes);
  return image;
}

static void put_image(void) {
  uint32_t bytes;
  uint8_t *image = take_image(&bytes);
  put_bulk(1, 0, image, bytes);
  free(image);
}

static void put_input(void) {
  const qc_model_t *model = &qc_context()->model;
  uint32_t index = take(1), bytes = take(1);
  const uint8_t *data = take_bytes(&bytes);
  uint32_t wanted = index < model->input_count ? model->inputs[index].bytes : 64;
  if (wanted > POOL_BYTES) fuzz_fail("an input is larger than the pool");
  uint8_t *input = malloc(wanted ? wanted : 1);
  for (uint32_t i = 0; i < wanted; i++) input[i] = bytes > 0 ? data[i % bytes] : 0;
  put_bulk(0, (uint8_t)index, input, wanted);
  free(input);
}

static void write_flash(void) {
  uint32_t at = take(2) % STORE_BYTES, bytes = take(1);
  const uint8_t *data = take_bytes(&bytes);
  if (bytes > STORE_BYTES - at) bytes = STORE_BYTES - at;
  if (bytes > 0) memcpy(bench.store + at, data, bytes);
}

static void write_slot(void) {
  uint32_t unit = take(1) % (STORE_BYTES / STORE_UNIT), bytes;
  uint8_t *image = take_image(&bytes), *slot = bench.store + unit * STORE_UNIT;
  qc_store_header_t header = {
      .magic = QC_STORE_MAGIC, .bytes = bytes, .crc32 = qc_crc32(0, image, bytes)};
  memset(header.sha256, (int)unit, sizeof header.sha256);
  memset(header.blank, 0xff, sizeof header.blank);
  if (bytes + sizeof header <= STORE_BYTES - unit * STORE_UNIT) {
    memcpy(slot, &header, sizeof header);
    if (bytes > 0) memcpy(slot + sizeof header, image, bytes);
  }
  free(image);
}

/* What the device's interpreter of text knows, each with and without its end.
 */
static void put_text(void) {
  static const char *const commands[] = {
      "name%", "profile%",  "help%",  "results%",   "timestamp%",     "db load ",
      "db ",   "db print%", "infer ", "infer 1 1%", "infer 1000000%", "%"};
  const char *command = commands[take(1) % (sizeof commands / sizeof *commands)];
  uint32_t bytes = take(1);
  const uint8_t *rest = take_bytes(&bytes);
  put_line((const uint8_t *)command, (uint32_t)strlen(command));
  put_line(rest, bytes);
  put_line((const uint8_t *)"%", 1);
}

static void next_item(void) {
  uint32_t kind = take(1) % KINDS, type, bytes;
  const uint8_t *data;
  switch (kind) {
  case NOISE:
    bytes = take(1);
    data = take_bytes(&bytes);
    put_line(data, bytes);
    break;
  case FRAME:
    type = take(1), bytes = take(2);
    data = take_bytes(&bytes);
    put_frame(type, data, bytes);
    break;
  case DAMAGED:
    put_damaged_frame();
    break;
  case AGAIN:
    put_line(bench.last, bench.last_bytes);
    break;
  case SILENCE:
    bench.silence = 128 * take(1);
    if (bench.silence > bench.quiet) bench.silence = bench.quiet;
    bench.quiet -= bench.silence;
    break;
  case IMAGE:
    put_image();
    break;
  case INPUT:
    put_input();
    break;
  case FLASH:
    write_flash();
    break;
  case SLOT:
    write_slot();
    break;
  case TEXT:
    put_text();
    break;
  }
}

/* Two zeros: one ends whatever stands on the line, and a frame begins behind
 * the other. */
static void ask_hello(void) {
  static const uint8_t hello[8] = {QC_PROTOCOL & 255, QC_PROTOCOL >> 8, 0, 0, 'f', 'u', 'z', 'z'};
  static const uint8_t zeros[2] = {0, 0};
  put_line(zeros, sizeof zeros);
  put_frame(QC_REQ_HELLO, hello, sizeof hello);
  bench.asked = 1;
}

/* --- port
 * -----------------------------------------------------------------------------------
 */

void qc_port_init(qc_port_info_t *info) {
  info->board = "fuzz";
  info->chip = "none";
  info->clock_hz = 1000000;
  info->firmware = (const uint8_t *)info->board;
  info->firmware_bytes = 4;
  info->store = bench.store;
  info->store_bytes = STORE_BYTES;
  info->store_alignment = STORE_UNIT;
  info->pool = bench.pool;
  info->pool_bytes = POOL_BYTES;
  info->receive_bytes = 4096;
}

uint32_t qc_port_read(uint8_t *data, uint32_t limit) {
  if (bench.silence > 0) {
    bench.silence--;
    return 0;
  }
  if (bench.at == bench.bytes) {
    bench.at = bench.bytes = 0;
    if (qc_context()->running) return 0; /* one item at a time */
    if (bench.left > 0) {
      next_item();
    } else if (!bench.asked) {
      ask_hello();
    } else if (bench.answered || bench.patience-- == 0) {
      longjmp(bench.leave, DONE);
    }
  }
  uint32_t bytes = bench.bytes - bench.at < limit ? bench.bytes - bench.at : limit;
  memcpy(data, bench.line + bench.at, bytes);
  bench.at += bytes;
  return bytes;
}

/* No byte of a line of text is the zero around a frame. */
static void check_text(const uint8_t *data, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; i++)
    if ((data[i] < ' ' || data[i] > '~') && data[i] != '\r' && data[i] != '\n')
      fuzz_fail("the device sent neither a frame nor text");
}

/* All that a device sends are whole frames with a zero before and behind, and
 * text. */
void qc_port_write(const uint8_t *data, uint32_t bytes) {
  uint8_t frame[QC_FRAME_MAX];
  qc_cobs_t cobs = {0};
  if (bytes == 0 || data[0] != 0) {
    check_text(data, bytes);
    return;
  }
  if (bytes < 2 || bytes > QC_LINE_MAX) fuzz_fail("the device sent no frame");
  for (uint32_t i = 1; i < bytes; i++) {
    qc_cobs_event_t event = qc_cobs_push(&cobs, data[i], frame, sizeof frame);
    if (event != (i + 1 < bytes ? QC_COBS_MORE : QC_COBS_FRAME))
      fuzz_fail("the device sent a broken frame");
  }
  if (cobs.bytes < QC_FRAME_OVERHEAD ||
      qc_get_u32(frame + cobs.bytes - 4) != qc_crc32(0, frame, cobs.bytes - 4))
    fuzz_fail("the device sent a frame with a wrong CRC");
  if (bench.asked && frame[0] == (QC_REQ_HELLO | QC_REPLY)) bench.answered = 1;
}

void qc_port_flush(void) {}

uint32_t qc_port_overruns(void) {
  return 0;
}

int qc_port_set_baud(uint32_t baud) {
  return baud >= 300 && baud <= 4000000;
}

uint64_t qc_port_counter(void) {
  return bench.counter += 997;
}

uint64_t qc_port_loop(uint32_t iterations) {
  return iterations;
}

void qc_port_loop_cost(uint32_t *per_round, uint32_t *fixed) {
  *per_round = 1;
  *fixed = 0;
}

uint32_t qc_port_stack_peak(void) {
  return 0;
}

void qc_port_reset(uint32_t mode) {
  (void)mode;
  longjmp(bench.leave, RESTARTED);
}

void *qc_port_retained(uint32_t *bytes) {
  *bytes = sizeof bench.retained;
  return bench.retained;
}

/* --- target
 * ---------------------------------------------------------------------------------
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static volatile int restarts;
  uint8_t *pool = bench.pool ? bench.pool : aligned_alloc(16, POOL_BYTES);
  uint8_t *store = bench.store ? bench.store : aligned_alloc(16, STORE_BYTES);
  bench.at = bench.bytes = bench.last_bytes = bench.silence = 0;
  bench.sequence = 0;
  bench.asked = bench.answered = 0;
  bench.patience = 1000;
  bench.quiet = PATIENCE;
  bench.counter = 0;
  memset(bench.retained, 0x5a, sizeof bench.retained);
  bench.pool = pool, bench.store = store;
  bench.script = data, bench.left = size;
  memset(pool, 0xa5, POOL_BYTES);
  memset(store, 0xff, STORE_BYTES);
  qc_runtime_t *runtime = qc_harness_runtime();
  (void)runtime->load(runtime, NULL, 0, NULL, 0); /* nothing is left of the run before */
  restarts = 0;
  if (setjmp(bench.leave) != DONE) {
    if (restarts++ == RESTARTS) return 0;
    qc_harness_main();
  }
  if (!bench.answered) fuzz_fail("the device does not answer HELLO any more");
  return 0;
}

/* Where an item that holds an image begins, or the script's size. */
static size_t image_item(const uint8_t *script, size_t size, size_t from) {
  for (; from + 3 < size; from++) {
    size_t bytes = script[from + 1] | (size_t)script[from + 2] << 8;
    uint32_t magic;
    if (from + 7 > size || script[from] % KINDS != IMAGE) continue;
    memcpy(&magic, script + from + 3, 4);
    if (magic == QC_IMAGE_MAGIC && bytes >= sizeof(qc_image_header_t) && from + 3 + bytes <= size)
      return from;
  }
  return size;
}

/* Bytes anywhere, or the fields of an image that the script holds. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t limit, unsigned seed) {
  uint64_t luck = seed;
  size_t at = image_item(data, size, size ? fuzz_below(&luck, (uint32_t)size) / 2 : 0);
  if (at == size || fuzz_below(&luck, 3) != 0) return LLVMFuzzerMutate(data, size, limit);
  size_t bytes = data[at + 1] | (size_t)data[at + 2] << 8;
  uint8_t *image = malloc(bytes);
  memcpy(image, data + at + 3, bytes);
  uint64_t steady = luck;
  if (fuzz_mutate_image(image, bytes, bytes, &steady) == bytes) memcpy(data + at + 3, image, bytes);
  free(image);
  return size;
}

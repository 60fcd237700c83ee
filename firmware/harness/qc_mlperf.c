/* One function per command. A command that cannot be done says why in e-[...]; all end in m-ready.
 *
 * The sample goes straight into the harness's copy of the model's input, which has exactly its
 * size, so nothing can be written elsewhere, and a run begins with what arrived. */
#include "qc_mlperf.h"

#include "qc_model.h"
#include "qc_run.h"
#include "qc_say.h"
#include "qc_scores.h"
#include "qc_store.h"
#include "qc_text.h"

#define DUMP_BYTES 8u /* in a line of `db print` */

static void fail(const char *why) {
  qc_say_bracketed("e-[", why);
}

/* The newest model of the store, after a start without a host of ours. */
static void select_stored(qc_context_t *context) {
  qc_slot_t slot;
  uint32_t at = 0;
  uint8_t name[QC_SHA256_BYTES];
  int found = 0;
  if (context->port.store == NULL) return;
  while (qc_store_next(&context->port, at, &slot, &at)) {
    memcpy(name, slot.sha256, sizeof name);
    found = 1;
  }
  context->transfer.open = 0; /* what it would still write is the model's now */
  if (found) (void)qc_model_select(context, name);
}

/* Whether there is a model that this protocol can feed; says why not. */
static int have_model(qc_context_t *context) {
  if (context->model.place == QC_PLACE_NONE) select_stored(context);
  if (context->model.place == QC_PLACE_NONE) {
    fail("No model is loaded: run one on this board with quantcheck first");
  } else if (context->model.input_count != 1) {
    fail("The model must have one input");
  } else {
    return 1;
  }
  return 0;
}

static void name(qc_context_t *context, char *rest) {
  (void)context, (void)rest;
  qc_say("m-name-dut-[quantcheck]\r\n");
}

static void profile(qc_context_t *context, char *rest) {
  char room[12];
  (void)rest;
  if (!have_model(context)) return;
  qc_say("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\n");
  qc_say_bracketed("m-model-[", qc_benchmark_name(context, room));
}

static void help(qc_context_t *context, char *rest) {
  (void)context, (void)rest;
  qc_say("name, profile, timestamp, help, results\r\n"
         "db load BYTES, db HEX..., db print\r\n"
         "infer ITERATIONS [WARMUPS]\r\n");
}

/* Without a clock (instructions are counted) a microsecond is one count. */
static uint64_t microseconds(const qc_context_t *context, uint64_t counted) {
  const uint64_t hz = context->port.clock_hz;
  if (hz == 0) return counted;
  const uint64_t seconds = counted / hz;
  return seconds * 1000000u + (counted - seconds * hz) * 1000000u / hz;
}

static void timestamp(qc_context_t *context, char *rest) {
  (void)rest;
  qc_say_counted("m-lap-us-", microseconds(context, qc_port_counter()));
}

static void results(qc_context_t *context, char *rest) {
  (void)rest;
  if (!have_model(context)) return;
  if (!context->run.done || context->run.stopped) {
    fail("There are no results: infer comes first");
  } else if (qc_say_results(context) != QC_OK) {
    fail("The runtime does not give its outputs");
  }
}

static void load_sample(qc_context_t *context, const char *word) {
  const int32_t wanted = qc_text_number(word);
  if (*word == '\0') {
    fail("Command 'db load' requires the # of bytes");
    return;
  }
  if (wanted <= 0) {
    fail("Command 'db load' must be >0 bytes");
    return;
  }
  if (!have_model(context)) return;
  const uint32_t largest = context->model.inputs[0].bytes;
  if ((uint32_t)wanted > largest) {
    qc_say("Supplied buffer size ");
    qc_say_number((uint32_t)wanted);
    qc_say_counted(" exceeds maximum of ", largest);
    return;
  }
  context->transfer.open = 0;
  context->model.inputs[0].ready = 0;
  context->sample = (qc_sample_t){.bytes = (uint32_t)wanted, .mask = qc_sample_mask(context)};
  qc_say("m-[Expecting ");
  qc_say_number((uint32_t)wanted);
  qc_say(" bytes]\r\n");
}

static void print_sample(qc_context_t *context) {
  const qc_sample_t *sample = &context->sample;
  for (uint32_t i = 0; i < sample->at; i++) {
    qc_say(i % DUMP_BYTES == 0 ? "m-buffer-" : "-");
    qc_say_hex_byte(context->model.inputs[0].data[i] ^ sample->mask);
    if (i % DUMP_BYTES == DUMP_BYTES - 1 || i + 1 == sample->at) qc_say("\r\n");
  }
}

static void append_sample(qc_context_t *context, const char *digits) {
  qc_sample_t *sample = &context->sample;
  if (sample->bytes == 0) {
    fail("Command 'db load' comes first");
    return;
  }
  for (; *digits != '\0'; digits += 2) {
    const int high = qc_text_hex_digit(digits[0]);
    const int low = digits[1] == '\0' ? -1 : qc_text_hex_digit(digits[1]);
    if (digits[1] == '\0') {
      fail("Insufficent number of hex digits"); /* the benchmark's own spelling */
      return;
    }
    if (high < 0 || low < 0) {
      const char pair[] = {digits[0], digits[1], '\'', '\0'};
      qc_say_bracketed("e-[Invalid hex digit '", pair);
      return;
    }
    if (sample->at == sample->bytes) continue;
    context->model.inputs[0].data[sample->at++] = (uint8_t)(high << 4 | low) ^ sample->mask;
    if (sample->at == sample->bytes) {
      context->model.inputs[0].ready = sample->bytes == context->model.inputs[0].bytes;
      qc_say("m-load-done\r\n");
    }
  }
}

static void db(qc_context_t *context, char *rest) {
  const char *word = qc_text_word(&rest);
  if (*word == '\0') {
    fail("Command 'db' requires a subcommand");
  } else if (qc_text_equal(word, "load")) {
    load_sample(context, qc_text_word(&rest));
  } else if (qc_text_equal(word, "print")) {
    print_sample(context);
  } else {
    append_sample(context, word);
  }
}

/* `times` inferences, which a frame ends; adds what was counted of them. */
static qc_status_t infer_times(qc_context_t *context, uint32_t times, uint64_t *counted) {
  for (uint32_t i = 0; i < times; i++) {
    const qc_status_t status = qc_run(context, QC_RUN_SILENT, 0);
    if (status != QC_OK) return status;
    if (qc_link_frame_waits(&context->link)) return QC_ERR_STATE;
    *counted += context->run.counter;
  }
  return QC_OK;
}

/* The second time is the first and what the runs were counted to take: neither the line nor the
 * copying of inputs is in it. */
static qc_status_t infer_timed(qc_context_t *context, uint32_t times, uint32_t warmups) {
  uint64_t counted = 0;
  qc_say_counted("m-warmup-start-", warmups);
  qc_status_t status = infer_times(context, warmups, &counted);
  if (status != QC_OK) return status;
  qc_say("m-warmup-done\r\n");
  qc_say_counted("m-infer-start-", times);
  const uint64_t start = qc_port_counter();
  qc_say_counted("m-lap-us-", microseconds(context, start));
  qc_port_flush();
  counted = 0;
  status = infer_times(context, times, &counted);
  if (status != QC_OK) return status;
  qc_say_counted("m-lap-us-", microseconds(context, start + counted));
  qc_say("m-infer-done\r\n");
  return qc_say_results(context);
}

static void infer(qc_context_t *context, char *rest) {
  const char *word = qc_text_word(&rest);
  const int32_t times = *word == '\0' ? 1 : qc_text_number(word);
  word = qc_text_word(&rest);
  const int32_t warmups = *word == '\0' ? 10 : qc_text_number(word);
  if (times <= 0) {
    fail("Inference iterations must be >0");
    return;
  }
  if (warmups < 0) {
    fail("Inference warmup must be >=0");
    return;
  }
  if (!have_model(context)) return;
  context->transfer.open = 0;
  const uint32_t wanted = context->model.inputs[0].bytes;
  if (context->sample.at != wanted) {
    qc_say("Input db has ");
    qc_say_number(context->sample.at);
    qc_say_counted(" elemented, expected ", wanted); /* its spelling, too */
  }
  const qc_status_t status = infer_timed(context, (uint32_t)times, (uint32_t)warmups);
  if (status == QC_ERR_STATE) {
    fail("Stopped: a frame came in");
  } else if (status != QC_OK) {
    fail("The runtime cannot run the model");
  }
}

void qc_mlperf_answer(qc_context_t *context) {
  static const struct {
    const char *word;
    void (*answer)(qc_context_t *context, char *rest);
  } commands[] = {{"name", name}, {"profile", profile}, {"timestamp", timestamp}, {"help", help},
                  {"db", db},     {"infer", infer},     {"results", results}};
  char *rest = context->link.text.line;
  const char *word = qc_text_word(&rest);
  uint32_t at = 0;
  while (at < sizeof commands / sizeof commands[0] && !qc_text_equal(word, commands[at].word)) at++;
  if (at < sizeof commands / sizeof commands[0]) {
    commands[at].answer(context, rest);
  } else {
    qc_say_bracketed("e-[Unknown command: ", word);
  }
  qc_say("m-ready\r\n");
}

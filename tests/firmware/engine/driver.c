/* The engine on a desk: reads images and inputs from stdin, writes what the engine makes of them.
 *
 * Request:  u32 image bytes, u32 input bytes, u32 pool bytes to withhold, u32 operators to run
 *           (0xffffffff: all), image, inputs one behind the other; those of further steps follow.
 * Reply:    u32 status; when 0: u32 operators run, for each u32 source index, u32 bytes, output;
 *           u32 output bytes, outputs of the last step one behind the other.
 * Image and pool are allocated with their exact sizes, so that a sanitizer sees every overrun. */
#define _POSIX_C_SOURCE 200809L /* posix_memalign */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "qc_runtime.h"

static void need(int condition, const char *what) {
  if (condition) return;
  fprintf(stderr, "driver: %s\n", what);
  exit(2);
}

static void send(const void *data, size_t bytes) {
  need(bytes == 0 || fwrite(data, 1, bytes, stdout) == bytes, "cannot write");
}

static void send_word(uint32_t word) {
  send(&word, sizeof word);
}

static uint8_t *receive(uint32_t bytes) {
  uint8_t *data = NULL;
  need(posix_memalign((void **)&data, 16, bytes ? bytes : 1) == 0, "no memory");
  need(fread(data, 1, bytes, stdin) == bytes, "request ends early");
  return data;
}

typedef struct {
  uint8_t *bytes;
  uint32_t used, capacity, count, limit;
} records_t;

static void append(records_t *r, const void *data, uint32_t bytes) {
  while (r->used + bytes > r->capacity) {
    r->capacity = 2 * r->capacity + 4096;
    need((r->bytes = realloc(r->bytes, r->capacity)) != NULL, "no memory");
  }
  for (uint32_t i = 0; i < bytes; i++) r->bytes[r->used + i] = ((const uint8_t *)data)[i];
  r->used += bytes;
}

static int record(void *user, uint32_t index, uint32_t source_index, const void *output,
                  uint32_t bytes) {
  records_t *r = user;
  (void)index;
  append(r, &source_index, 4);
  append(r, &bytes, 4);
  append(r, output, bytes);
  r->count++;
  return r->count < r->limit;
}

/* All steps that there are inputs for, one at least. */
static qc_status_t run_steps(qc_runtime_t *runtime, const uint8_t *inputs, uint32_t bytes,
                             records_t *records) {
  qc_states_t states = QC_STATES_INITIAL;
  uint32_t at = 0;
  qc_io_t io;
  do {
    qc_status_t status = runtime->set_states(runtime, states);
    for (uint32_t i = 0; status == QC_OK && i < runtime->input_count(runtime); i++) {
      need(runtime->describe_input(runtime, i, &io) == QC_OK, "describe_input");
      uint32_t given = bytes - at < io.bytes ? bytes - at : io.bytes;
      status = runtime->set_input(runtime, i, 0, inputs + at, given);
      at += given;
    }
    if (status == QC_OK) status = runtime->invoke(runtime, record, records);
    if (status != QC_OK) return status;
    states = QC_STATES_NEXT;
  } while (at < bytes && records->count < records->limit && runtime->input_count(runtime) > 0);
  return QC_OK;
}

static qc_status_t run(const uint8_t *image, const uint32_t *request, const uint8_t *inputs,
                       records_t *records) {
  qc_runtime_t *runtime = qc_harness_runtime();
  qc_io_t io;
  uint8_t *pool = NULL;
  need(posix_memalign((void **)&pool, 16, 16) == 0, "no memory");
  qc_status_t status = runtime->load(runtime, image, request[0], pool, 0);
  uint32_t arena = 0;
  if (status == QC_ERR_NO_MEMORY) { /* opened: now with the arena it asks for */
    __builtin_memcpy(&arena, image + 48, 4);
    free(pool);
    arena = arena < request[2] || arena > 64u << 20 ? 0 : arena - request[2];
    need(posix_memalign((void **)&pool, 16, arena ? arena : 1) == 0, "no memory");
    for (uint32_t i = 0; i < arena; i++) pool[i] = 0xa5;
    status = runtime->load(runtime, image, request[0], pool, arena);
  }
  if (status == QC_OK) status = run_steps(runtime, inputs, request[1], records);
  send_word((uint32_t)status);
  if (status == QC_OK) {
    send_word(records->count);
    send(records->bytes, records->used);
    uint32_t total = 0;
    for (uint32_t i = 0; i < runtime->output_count(runtime); i++) {
      need(runtime->describe_output(runtime, i, &io) == QC_OK, "describe_output");
      total += io.bytes;
    }
    send_word(total);
    for (uint32_t i = 0; i < runtime->output_count(runtime); i++) {
      need(runtime->describe_output(runtime, i, &io) == QC_OK, "describe_output");
      uint8_t *output = malloc(io.bytes ? io.bytes : 1);
      need(output && runtime->get_output(runtime, i, 0, output, io.bytes) == QC_OK, "get_output");
      send(output, io.bytes);
      free(output);
    }
  }
  free(pool);
  return status;
}

int main(void) {
  uint32_t request[4];
  while (fread(request, 1, sizeof request, stdin) == sizeof request) {
    uint8_t *image = receive(request[0]), *inputs = receive(request[1]);
    records_t records = {NULL, 0, 0, 0, request[3]};
    run(image, request, inputs, &records);
    fflush(stdout);
    free(records.bytes);
    free(image);
    free(inputs);
  }
  return 0;
}

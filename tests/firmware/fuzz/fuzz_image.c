/* Fuzz target: the engine takes an image and runs it.
 *
 * Input: an image, and behind it the data for its inputs (what is missing is 0xa5). The portable
 * kernels and the packed ones (QC_SIMULATE_DSP) run it one after the other: both must accept or
 * refuse it alike, and every operator's output must be the same.
 *
 * With FUZZ_STATUS in the environment it prints what the engine said: "status 0". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "qc_crc32.h"
#include "qc_image.h"

enum { ARENA_LIMIT = 1 << 17, BLANK = 0xa5 };

qc_runtime_t *
packed_harness_runtime(void); /* qc_harness_runtime of the engine with packed kernels */

typedef struct {
  const qc_image_header_t *header;
  const qc_operator_t *operators;
  uint8_t *arena;
  uint32_t crc; /* over all operators' outputs, then the graph's */
} journal_t;

/* Scratch is blanked behind each operator: what a hostile plan reads of it must not depend on the
 * kernel that left it. */
static int record(void *user, uint32_t index, uint32_t source_index, const void *output,
                  uint32_t bytes) {
  journal_t *journal = user;
  const qc_operator_t *op = &journal->operators[index];
  if (source_index != (op->source_index | (uint32_t)op->source_output << 16))
    fuzz_fail("a hook was told another operator");
  journal->crc = qc_crc32(journal->crc, output, bytes);
  memset(journal->arena + op->scratch_offset, BLANK, op->scratch_bytes);
  return 1;
}

static void set_inputs(qc_runtime_t *runtime, const uint8_t *data, size_t size) {
  qc_io_t io;
  for (uint32_t i = 0; i < runtime->input_count(runtime); i++) {
    if (runtime->describe_input(runtime, i, &io) != QC_OK) fuzz_fail("an input has no description");
    uint32_t given = io.bytes < size ? io.bytes : (uint32_t)size;
    if (runtime->set_input(runtime, i, 0, data, given) != QC_OK) fuzz_fail("an input is refused");
    if (runtime->set_input(runtime, i, io.bytes, data, 1) == QC_OK)
      fuzz_fail("an input takes more than it holds");
    data += given;
    size -= given;
  }
}

static void get_outputs(const qc_runtime_t *runtime, journal_t *journal) {
  qc_io_t io;
  for (uint32_t i = 0; i < runtime->output_count(runtime); i++) {
    if (runtime->describe_output(runtime, i, &io) != QC_OK)
      fuzz_fail("an output has no description");
    uint8_t *output = malloc(io.bytes);
    if (runtime->get_output(runtime, i, 0, output, io.bytes) != QC_OK)
      fuzz_fail("an output is refused");
    journal->crc = qc_crc32(journal->crc, output, io.bytes);
    free(output);
  }
}

static qc_status_t run(qc_runtime_t *runtime, const uint8_t *image, size_t image_bytes,
                       const uint8_t *inputs, size_t input_bytes, uint32_t *crc) {
  uint32_t arena_bytes = 0;
  qc_status_t status = runtime->load(runtime, image, image_bytes, NULL, 0);
  if (status == QC_ERR_NO_MEMORY) {
    arena_bytes = ((const qc_image_header_t *)(const void *)image)->arena_bytes;
    if (arena_bytes > ARENA_LIMIT) return status;
  } else if (status != QC_OK) {
    return status;
  }
  journal_t journal = {.header = (const void *)image};
  journal.arena = aligned_alloc(16, arena_bytes ? arena_bytes : 16);
  memset(journal.arena, BLANK, arena_bytes);
  journal.operators = (const void *)(image + journal.header->operators_offset);
  if (runtime->load(runtime, image, image_bytes, journal.arena, arena_bytes) != QC_OK)
    fuzz_fail("an image that was accepted is refused");
  for (int step = 0; step < 2; step++) {
    if (runtime->set_states(runtime, step ? QC_STATES_NEXT : QC_STATES_INITIAL) != QC_OK)
      fuzz_fail("states are refused");
    set_inputs(runtime, inputs, input_bytes);
    status = runtime->invoke(runtime, record, &journal);
    if (status != QC_OK) fuzz_fail("a checked image does not run");
  }
  get_outputs(runtime, &journal);
  free(journal.arena);
  *crc = journal.crc;
  return QC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t bytes = size;
  uint32_t crc = 0, packed_crc = 0;
  if (size >= sizeof(qc_image_header_t)) {
    const qc_image_header_t *h = (const void *)data;
    uint32_t declared;
    memcpy(&declared, &h->image_bytes, sizeof declared);
    if (declared < bytes) bytes = declared;
  }
  uint8_t *image = NULL; /* exactly as large as it says */
  if (posix_memalign((void **)&image, 16, bytes ? bytes : 1) != 0) return 0;
  memcpy(image, data, bytes);
  qc_status_t status = run(qc_harness_runtime(), image, bytes, data + bytes, size - bytes, &crc);
  qc_status_t packed_status =
      run(packed_harness_runtime(), image, bytes, data + bytes, size - bytes, &packed_crc);
  free(image);
  if (getenv("FUZZ_STATUS") != NULL) printf("status %d\n", (int)status);
  if (status != packed_status) fuzz_fail("portable and packed kernels do not take the same images");
  if (crc != packed_crc) fuzz_fail("portable and packed kernels differ");
  return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t limit, unsigned seed) {
  uint64_t luck = seed;
  return fuzz_mutate_image(data, size, limit, &luck);
}

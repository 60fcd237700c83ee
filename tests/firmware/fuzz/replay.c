/* Drives a fuzz target without libFuzzer: every file of the folders given, then mutations of them.
 *
 * usage: replay MUTATIONS SEED FILE...      prints "<files> files, <mutations> mutations" */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum { LIMIT = 1 << 16 };

typedef struct {
  uint8_t *data;
  size_t size;
} seed_t;

static uint64_t luck;

/* What a mutator without knowledge does: a few bytes changed, put in or taken out. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t limit) {
  for (uint32_t left = 1 + fuzz_below(&luck, 4); left > 0; left--) {
    size_t at = size ? fuzz_below(&luck, (uint32_t)size) : 0;
    uint32_t choice = fuzz_below(&luck, 4);
    if (choice == 0 && size < limit) {
      memmove(data + at + 1, data + at, size - at);
      data[at] = (uint8_t)fuzz_below(&luck, 256);
      size++;
    } else if (choice == 1 && size > 1) {
      memmove(data + at, data + at + 1, size - at - 1);
      size--;
    } else if (size > 0) {
      data[at] =
          (uint8_t)(choice == 2 ? fuzz_below(&luck, 256) : data[at] ^ 1u << fuzz_below(&luck, 8));
    }
  }
  return size;
}

static seed_t read_file(const char *name) {
  seed_t seed = {malloc(LIMIT), 0};
  FILE *file = fopen(name, "rb");
  if (file == NULL || seed.data == NULL) {
    perror(name);
    exit(2);
  }
  seed.size = fread(seed.data, 1, LIMIT, file);
  fclose(file);
  return seed;
}

int main(int count, char **arguments) {
  if (count < 4) {
    fprintf(stderr, "usage: %s MUTATIONS SEED FILE...\n", arguments[0]);
    return 2;
  }
  uint32_t mutations = (uint32_t)strtoul(arguments[1], NULL, 0), files = (uint32_t)count - 3;
  luck = strtoull(arguments[2], NULL, 0);
  seed_t *seeds = malloc(files * sizeof *seeds);
  for (uint32_t i = 0; i < files; i++) {
    seeds[i] = read_file(arguments[3 + i]);
    LLVMFuzzerTestOneInput(seeds[i].data, seeds[i].size);
  }
  uint8_t *data = malloc(LIMIT);
  for (uint32_t i = 0; i < mutations; i++) {
    const seed_t *seed = &seeds[fuzz_below(&luck, files)];
    size_t size = seed->size;
    memcpy(data, seed->data, size);
    for (uint32_t left = 1 + fuzz_below(&luck, 3); left > 0; left--)
      size = LLVMFuzzerCustomMutator(data, size, LIMIT, fuzz_below(&luck, 1u << 31));
    LLVMFuzzerTestOneInput(data, size);
  }
  printf("%u files, %u mutations\n", files, mutations);
  for (uint32_t i = 0; i < files; i++) free(seeds[i].data);
  free(seeds);
  free(data);
  return 0;
}

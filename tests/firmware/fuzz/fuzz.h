/* What the fuzz targets share: images that are made whole again after a mutation. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t limit);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t limit, unsigned seed);

/* A number below `bound` (1 or more), from a generator of the caller. */
uint32_t fuzz_below(uint64_t *luck, uint32_t bound);

/* Writes image size and CRC-32 anew, so that what lies behind these checks is reached. */
void fuzz_seal_image(uint8_t *image, size_t size);

/* Changes fields of an image, in its tables rather than anywhere, and makes what follows from other
 * fields fit again (sizes of tensors, of weights, of the arena), each with some luck. */
size_t fuzz_mutate_image(uint8_t *image, size_t size, size_t limit, uint64_t *luck);

/* Reports what should never be and ends the process, as a sanitizer does. */
void fuzz_fail(const char *what);

#endif

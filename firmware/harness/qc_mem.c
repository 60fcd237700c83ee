/* The four memory functions a compiler may call by itself, for ports without a C library. Weak:
 * a port's own come first. Left out of ports that are compiled for the host. */
#include "qc_bytes.h"

#pragma GCC optimize("no-tree-loop-distribute-patterns") /* else a loop becomes a call of itself   \
                                                          */

typedef uint32_t __attribute__((may_alias)) word_t;

__attribute__((weak)) void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  uint8_t *out = to;
  const uint8_t *in = from;
  if ((((uintptr_t)out | (uintptr_t)in) & 3) == 0) {
    for (; bytes >= 4; bytes -= 4, out += 4, in += 4) {
      *(word_t *)(void *)out = *(const word_t *)(const void *)in;
    }
  }
  while (bytes-- != 0) *out++ = *in++;
  return to;
}

__attribute__((weak)) void *memmove(void *to, const void *from, size_t bytes) {
  uint8_t *out = to;
  const uint8_t *in = from;
  if (out <= in) {
    while (bytes-- != 0) *out++ = *in++;
  } else {
    while (bytes-- != 0) out[bytes] = in[bytes];
  }
  return to;
}

__attribute__((weak)) void *memset(void *to, int value, size_t bytes) {
  uint8_t *out = to;
  while (bytes-- != 0) *out++ = (uint8_t)value;
  return to;
}

__attribute__((weak)) int memcmp(const void *a, const void *b, size_t bytes) {
  const uint8_t *left = a;
  const uint8_t *right = b;
  for (; bytes != 0; bytes--, left++, right++) {
    if (*left != *right) return *left < *right ? -1 : 1;
  }
  return 0;
}

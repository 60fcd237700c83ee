/* The Cortex-M4's packed arithmetic, or the same functions in plain C under QC_SIMULATE_DSP, so
 * that the accelerated kernels can be proven equal to the portable ones on any machine. */
#ifndef QC_SIMD_H
#define QC_SIMD_H

#include <stdint.h>

/* The engine does not ask for a C library's headers; the functions come from wherever the port
 * has them. */
#define qc_copy(to, from, bytes) __builtin_memcpy(to, from, bytes)
#define qc_fill(to, byte, bytes) __builtin_memset(to, byte, bytes)

#if defined(__ARM_FEATURE_DSP) || defined(QC_SIMULATE_DSP)
#define QC_DSP 1
#else
#define QC_DSP 0
#endif

/* Where a port wants its hot functions, e.g. -DQC_HOT='__attribute__((section(".ramtext")))'. */
#ifndef QC_HOT
#define QC_HOT
#endif

/* For functions of the portable kernels that need every register of a RISC-V core: gcc's early
 * scheduling and re-association would keep more values alive than there are. Speed only, never the
 * result. */
#if QC_DSP
#define QC_TILE
#elif defined(__clang__)
#define QC_TILE __attribute__((noinline))
#else
#define QC_TILE                                                                                    \
  __attribute__((noinline,                                                                         \
                 optimize("no-schedule-insns", "no-tree-reassoc", "ira-algorithm=priority")))
#endif

#define QC_INLINE static inline __attribute__((always_inline))

QC_INLINE uint32_t qc_load32(const void *p) {
  uint32_t word;
  qc_copy(&word, p, 4);
  return word;
}

QC_INLINE void qc_store32(void *p, uint32_t word) {
  qc_copy(p, &word, 4);
}

/* sum + a * b; sums wrap at 32 bits, as the reference kernels' do. */
QC_INLINE int32_t qc_mac(int32_t sum, int32_t a, int32_t b) {
  return (int32_t)((uint32_t)sum + (uint32_t)(a * b));
}

#if QC_DSP

/* Two signed halfwords as one word. */
QC_INLINE uint32_t qc_pair(int32_t bottom, int32_t top) {
  return ((uint32_t)bottom & 0xffffu) | (uint32_t)top << 16;
}

#ifdef __ARM_FEATURE_DSP

#define QC_ARM_BINARY(name, instruction)                                                           \
  QC_INLINE uint32_t name(uint32_t a, uint32_t b) {                                                \
    uint32_t r;                                                                                    \
    __asm__(instruction : "=r"(r) : "r"(a), "r"(b));                                               \
    return r;                                                                                      \
  }
#define QC_ARM_ACCUMULATE(name, instruction)                                                       \
  QC_INLINE int32_t name(uint32_t a, uint32_t b, int32_t sum) {                                    \
    __asm__(instruction " %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));                           \
    return sum;                                                                                    \
  }
#define QC_ARM_UNARY(name, instruction)                                                            \
  QC_INLINE uint32_t name(uint32_t a) {                                                            \
    uint32_t r;                                                                                    \
    __asm__(instruction : "=r"(r) : "r"(a));                                                       \
    return r;                                                                                      \
  }

QC_ARM_ACCUMULATE(qc_smlad, "smlad")
QC_ARM_ACCUMULATE(qc_smlabb, "smlabb")
QC_ARM_ACCUMULATE(qc_smlabt, "smlabt")
QC_ARM_ACCUMULATE(qc_smlatb, "smlatb")
QC_ARM_ACCUMULATE(qc_smlatt, "smlatt")
QC_ARM_UNARY(qc_even16, "sxtb16 %0, %1")
QC_ARM_UNARY(qc_odd16, "sxtb16 %0, %1, ror #8")
QC_ARM_BINARY(qc_bottoms, "pkhbt %0, %1, %2, lsl #16")
QC_ARM_BINARY(qc_tops, "pkhtb %0, %2, %1, asr #16")
QC_ARM_BINARY(qc_add_even16, "sxtab16 %0, %1, %2")
QC_ARM_BINARY(qc_add_odd16, "sxtab16 %0, %1, %2, ror #8")

QC_INLINE uint32_t qc_max8(uint32_t a, uint32_t b) {
  uint32_t r;
  __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(r) : "r"(a), "r"(b) : "cc");
  return r;
}

QC_INLINE int32_t qc_saturate8(int32_t a) {
  int32_t r;
  __asm__("ssat %0, #8, %1" : "=r"(r) : "r"(a));
  return r;
}

/* Two words from `p`, then p += step (bytes). `p` is word aligned. */
#define QC_LOAD_PAIR(a, b, p, step)                                                                \
  __asm__ volatile("ldrd %0, %1, [%2], %3" : "=&r"(a), "=&r"(b), "+r"(p) : "i"(step) : "memory")
#define QC_LOAD_PAIR_AT(a, b, p, offset)                                                           \
  __asm__ volatile("ldrd %0, %1, [%2, %3]" : "=&r"(a), "=&r"(b) : "r"(p), "i"(offset) : "memory")
#define QC_STORE_PAIR(a, b, p, step)                                                               \
  __asm__ volatile("strd %1, %2, [%0], %3" : "+r"(p) : "r"(a), "r"(b), "i"(step) : "memory")

/* Words that are loaded together: each but the first takes one cycle. Two from `p` and two from
 * `q`; four that lie together from `p` and one from `q`. All are word aligned, offsets in bytes;
 * the last one may lie anywhere. */
#define QC_LOAD_ONE(a, p, i)                                                                       \
  __asm__ volatile("ldr %0, [%1, %2]" : "=r"(a) : "r"(p), "i"(i) : "memory")
#define QC_LOAD_TWO(a, b, p, i, j)                                                                 \
  __asm__ volatile("ldr %0, [%2, %3]\n\tldr %1, [%2, %4]"                                          \
                   : "=&r"(a), "=&r"(b)                                                            \
                   : "r"(p), "i"(i), "i"(j)                                                        \
                   : "memory")
#define QC_LOAD_FOUR(a, b, p, i, j, c, d, q, k, l)                                                 \
  __asm__ volatile("ldr %0, [%4, %6]\n\tldr %1, [%4, %7]\n\t"                                      \
                   "ldr %2, [%5, %8]\n\tldr %3, [%5, %9]"                                          \
                   : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d)                                        \
                   : "r"(p), "r"(q), "i"(i), "i"(j), "i"(k), "i"(l)                                \
                   : "memory")
#define QC_LOAD_FIVE(a, b, c, d, p, i, e, q, j)                                                    \
  __asm__ volatile("ldr %0, [%5, %7]\n\tldr %1, [%5, %7+4]\n\tldr %2, [%5, %7+8]\n\t"              \
                   "ldr %3, [%5, %7+12]\n\tldr %4, [%6, %8]"                                       \
                   : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d), "=&r"(e)                              \
                   : "r"(p), "r"(q), "i"(i), "i"(j)                                                \
                   : "memory")

/* ((a * b + 2^31) >> 32) + c */
QC_INLINE int32_t qc_high_rounded_plus(int32_t a, int32_t b, int32_t c) {
  int32_t r;
  if (__builtin_constant_p(c) && c == 0)
    __asm__("smmulr %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
  else
    __asm__("smmlar %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}

#else

QC_INLINE int32_t qc_half(uint32_t a, int top) {
  return (int16_t)(uint16_t)(a >> (16 * top));
}

QC_INLINE int32_t qc_byte(uint32_t a, int i) {
  return (int8_t)(uint8_t)(a >> (8 * i));
}

QC_INLINE int32_t qc_smlad(uint32_t a, uint32_t b, int32_t sum) {
  return qc_mac(qc_mac(sum, qc_half(a, 0), qc_half(b, 0)), qc_half(a, 1), qc_half(b, 1));
}

QC_INLINE int32_t qc_smlabb(uint32_t a, uint32_t b, int32_t sum) {
  return qc_mac(sum, qc_half(a, 0), qc_half(b, 0));
}

QC_INLINE int32_t qc_smlabt(uint32_t a, uint32_t b, int32_t sum) {
  return qc_mac(sum, qc_half(a, 0), qc_half(b, 1));
}

QC_INLINE int32_t qc_smlatb(uint32_t a, uint32_t b, int32_t sum) {
  return qc_mac(sum, qc_half(a, 1), qc_half(b, 0));
}

QC_INLINE int32_t qc_smlatt(uint32_t a, uint32_t b, int32_t sum) {
  return qc_mac(sum, qc_half(a, 1), qc_half(b, 1));
}

QC_INLINE uint32_t qc_even16(uint32_t a) {
  return qc_pair(qc_byte(a, 0), qc_byte(a, 2));
}

QC_INLINE uint32_t qc_odd16(uint32_t a) {
  return qc_pair(qc_byte(a, 1), qc_byte(a, 3));
}

QC_INLINE uint32_t qc_bottoms(uint32_t a, uint32_t b) {
  return qc_pair(qc_half(a, 0), qc_half(b, 0));
}

QC_INLINE uint32_t qc_tops(uint32_t a, uint32_t b) {
  return qc_pair(qc_half(a, 1), qc_half(b, 1));
}

QC_INLINE uint32_t qc_add_even16(uint32_t sum, uint32_t a) {
  return qc_pair(qc_half(sum, 0) + qc_byte(a, 0), qc_half(sum, 1) + qc_byte(a, 2));
}

QC_INLINE uint32_t qc_add_odd16(uint32_t sum, uint32_t a) {
  return qc_pair(qc_half(sum, 0) + qc_byte(a, 1), qc_half(sum, 1) + qc_byte(a, 3));
}

QC_INLINE uint32_t qc_max8(uint32_t a, uint32_t b) {
  uint32_t r = 0;
  for (int i = 0; i < 4; i++) {
    uint32_t larger = qc_byte(a, i) >= qc_byte(b, i) ? a : b;
    r |= larger & (0xffu << (8 * i));
  }
  return r;
}

QC_INLINE int32_t qc_saturate8(int32_t a) {
  return a < INT8_MIN ? INT8_MIN : a > INT8_MAX ? INT8_MAX : a;
}

#define QC_LOAD_PAIR_AT(a, b, p, offset)                                                           \
  ((a) = (__typeof__(a))qc_load32((const uint8_t *)(p) + (offset)),                                \
   (b) = (__typeof__(b))qc_load32((const uint8_t *)(p) + (offset) + 4))
#define QC_LOAD_AT(a, p, offset) ((a) = (__typeof__(a))qc_load32((const uint8_t *)(p) + (offset)))
#define QC_LOAD_ONE(a, p, i) QC_LOAD_AT(a, p, i)
#define QC_LOAD_TWO(a, b, p, i, j) (QC_LOAD_AT(a, p, i), QC_LOAD_AT(b, p, j))
#define QC_LOAD_FOUR(a, b, p, i, j, c, d, q, k, l)                                                 \
  (QC_LOAD_AT(a, p, i), QC_LOAD_AT(b, p, j), QC_LOAD_AT(c, q, k), QC_LOAD_AT(d, q, l))
#define QC_LOAD_FIVE(a, b, c, d, p, i, e, q, j)                                                    \
  (QC_LOAD_FOUR(a, b, p, i, (i) + 4, c, d, p, (i) + 8, (i) + 12), QC_LOAD_AT(e, q, j))
#define QC_LOAD_PAIR(a, b, p, step)                                                                \
  (QC_LOAD_PAIR_AT(a, b, p, 0), (p) = (const void *)((const uint8_t *)(p) + (step)))
#define QC_STORE_PAIR(a, b, p, step)                                                               \
  (qc_store32(p, a), qc_store32((uint8_t *)(p) + 4, b), (p) = (void *)((uint8_t *)(p) + (step)))

QC_INLINE int32_t qc_high_rounded_plus(int32_t a, int32_t b, int32_t c) {
  return (int32_t)(((int64_t)a * b + (INT64_C(1) << 31)) >> 32) + c;
}

#endif
#else

/* ((a * b + 2^31) >> 32) + c, written so that a 32-bit core needs one carry less */
QC_INLINE int32_t qc_high_rounded_plus(int32_t a, int32_t b, int32_t c) {
  int64_t product = (int64_t)a * b;
  return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31) + c;
}

#endif
#endif

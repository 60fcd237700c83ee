/* IEEE 754 binary32 taken apart and put together, for the float edges of a model. */
#ifndef QC_FLOAT32_H
#define QC_FLOAT32_H

#include <stdint.h>

#define QC_FLOAT_SIGN 0x80000000u
#define QC_FLOAT_INFINITY 0x7f800000u

typedef struct {
  uint32_t mantissa;
  int32_t exponent;
} qc_float_t;

/* A positive finite number as mantissa / 2^23 * 2^exponent with 2^23 <= mantissa < 2^24. */
static inline qc_float_t qc_float_normalized(uint32_t bits) {
  qc_float_t x = {bits & 0x7fffffu, (int32_t)(bits >> 23) - 127};
  if (x.exponent > -127) {
    x.mantissa |= 1u << 23;
    return x;
  }
  for (x.exponent = -126; x.mantissa < 1u << 23; x.exponent--) x.mantissa *= 2;
  return x;
}

/* mantissa * 2^exponent as a float32, rounded to nearest, even; mantissa 0 or from 2^23 to 2^40,
 * exponent >= -172. */
static inline uint32_t qc_float_packed(uint64_t mantissa, int32_t exponent) {
  if (mantissa == 0) return 0;
  int32_t right = 0; /* digits that do not fit */
  while (mantissa >> right >= 1u << 24 || exponent + right < -149) right++;
  qc_float_t x = {(uint32_t)(mantissa >> right), exponent + right};
  if (right > 0) {
    uint64_t rest = mantissa & ((UINT64_C(1) << right) - 1u), half = UINT64_C(1) << (right - 1);
    if (rest > half || (rest == half && (x.mantissa & 1u))) x.mantissa++;
    if (x.mantissa == 1u << 24) x.mantissa >>= 1, x.exponent++;
  }
  if (x.exponent > 104) return QC_FLOAT_INFINITY;
  if (x.mantissa < 1u << 23) return x.mantissa; /* subnormal */
  return (uint32_t)(x.exponent + 150) << 23 | (x.mantissa & 0x7fffffu);
}

#endif

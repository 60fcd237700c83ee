/* Requantization by a float32 factor, as onnxruntime's integer kernels do it
 * (MlasRequantizeOutput): the sum, its product with the factor and the result are each rounded to
 * nearest, even. SPEC.md, section "Rounding". Integers only. */
#include "qc_float_rule.h"

#include "qc_image.h"
#include "qc_ratio_rule.h"

enum { QC_DIGITS = 24 }; /* of a float32 */

/* x / 2^exponent, halves to even, or to odd where `odd` is 1; 0 < exponent < 64. */
static uint64_t divided(uint64_t x, int32_t exponent, uint32_t odd) {
  uint64_t whole = x >> exponent, half = UINT64_C(1) << (exponent - 1);
  uint64_t rest = x & (2 * half - 1);
  return whole + (rest > half || (rest == half && (whole & 1u) != odd));
}

/* The float32 nearest to x < 2^56. */
static uint64_t to_24_digits(uint64_t x) {
  uint32_t above = (uint32_t)(x >> QC_DIGITS);
  if (above == 0) return x;
  int32_t more = 1; /* digits that do not fit */
  for (int32_t step = 16; step > 0; step /= 2)
    if (above >> step) above >>= step, more += step;
  return divided(x, more, 0) << more;
}

int32_t qc_requantize_rule(int32_t x, int32_t multiplier, int32_t shift) {
  if (shift > QC_FLOAT_ODD_SHIFT + QC_SHIFT_MAX) return qc_requantize_ratio(x, multiplier, shift);
  return qc_requantize_float(x, multiplier, shift);
}

int32_t qc_requantize_float(int32_t x, int32_t multiplier, int32_t shift) {
  const uint64_t largest = 1u << 30;
  uint64_t size = to_24_digits(x < 0 ? 0u - (uint32_t)x : (uint32_t)x);
  uint64_t steps = to_24_digits(size * ((uint32_t)multiplier >> (31 - QC_DIGITS)));
  uint32_t odd = shift > QC_FLOAT_SHIFT + QC_SHIFT_MAX;
  int32_t right = QC_DIGITS - (shift - (odd ? QC_FLOAT_ODD_SHIFT : QC_FLOAT_SHIFT));
  steps = right > 0 ? divided(steps, right, odd) : steps << -right;
  if (steps > largest) steps = largest;
  return x < 0 ? -(int32_t)steps : (int32_t)steps;
}

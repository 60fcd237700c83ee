/* Requantization by a power of two and a divisor: scales that are powers of two (ESP-DL), averages
 * under them. One rounding, by the rule that the shift names. SPEC.md, section "Rounding". */
#include "qc_ratio_rule.h"

#include "qc_image.h"

enum { QC_RULE_STEP = 128 }; /* from one rule's shifts to the next one's */

/* Whether the magnitude `whole` + rest / unit goes to the next one; 0 <= rest < unit <= 2^62. */
static int goes_up(int32_t rule, int negative, uint64_t whole, uint64_t rest, uint64_t unit) {
  if (rule == QC_FLOOR_SHIFT) return negative && rest > 0;
  int tie_up = rule == QC_HALF_UP_SHIFT ? !negative : (int)(whole & 1u);
  return 2 * rest > unit || (2 * rest == unit && tie_up);
}

int32_t qc_requantize_ratio(int64_t x, int32_t divisor, int32_t shift) {
  const uint64_t largest = 1u << 30, far = UINT64_C(1) << 31;
  int32_t rule = (shift + QC_RULE_STEP / 2) / QC_RULE_STEP * QC_RULE_STEP, s = shift - rule;
  int negative = x < 0;
  uint64_t whole = negative ? 0u - (uint64_t)x : (uint64_t)x, rest = 0, unit = (uint32_t)divisor;
  if (divisor != 1) {
    uint32_t size = (uint32_t)whole;
    whole = size / (uint32_t)divisor, rest = size % (uint32_t)divisor;
  }
  if (s > 0 && whole > far) whole = far;
  for (; s > 0; s--) {
    uint32_t carry = 2 * rest >= unit;
    rest = 2 * rest - (carry ? unit : 0);
    whole = 2 * whole + carry;
  }
  if (s < 0) {
    rest += (whole & ((UINT64_C(1) << -s) - 1)) * unit;
    whole >>= -s;
    unit <<= -s;
  }
  whole += (uint64_t)goes_up(rule, negative, whole, rest, unit);
  if (whole > largest) whole = largest;
  return negative ? -(int32_t)whole : (int32_t)whole;
}

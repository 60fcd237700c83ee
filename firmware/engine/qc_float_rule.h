/* Requantization by other rules than TFLite's. */
#ifndef QC_FLOAT_RULE_H
#define QC_FLOAT_RULE_H

#include <stdint.h>

/* x * multiplier / 2^31 * 2^s in float32, limited to 2^30 either way, for shift = s +
 * QC_FLOAT_SHIFT or s + QC_FLOAT_ODD_SHIFT; multiplier >= 0 with its 7 low bits clear, -31 <= s <=
 * 30. */
int32_t qc_requantize_float(int32_t x, int32_t multiplier, int32_t shift);

/* By the rule that the shift asks for: a float32 factor, or a power of two and a divisor. */
int32_t qc_requantize_rule(int32_t x, int32_t multiplier, int32_t shift);

#endif

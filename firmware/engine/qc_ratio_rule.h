/* Requantization by a power of two and a divisor, rounded once. */
#ifndef QC_RATIO_RULE_H
#define QC_RATIO_RULE_H

#include <stdint.h>

/* x * 2^s / divisor, limited to 2^30 either way, for shift = s + QC_HALF_UP_SHIFT,
 * QC_HALF_EVEN_SHIFT or QC_FLOOR_SHIFT. |x| < 2^61 where the divisor is 1, else x is an int32_t and
 * s >= QC_SHIFT_MIN. */
int32_t qc_requantize_ratio(int64_t x, int32_t divisor, int32_t shift);

#endif

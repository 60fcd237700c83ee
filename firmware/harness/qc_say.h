/* Text to the console: words, whole numbers, numbers with three decimals. */
#ifndef QC_SAY_H
#define QC_SAY_H

#include <stdint.h>

void qc_say(const char *text);
void qc_say_number(uint64_t value);
void qc_say_hex_byte(uint8_t value);
/* value * 2^-shift as "%.3f" writes it: halves go to even. `value` below 2^32 in magnitude, shift
 * from 0 to 31. */
void qc_say_fraction(int64_t value, uint32_t shift);
/* The float32 with these bits as "%.3f" writes it; "inf" also for magnitudes of 2^41 and more. */
void qc_say_float(uint32_t bits);
/* before, text, "]" and the end of the line. */
void qc_say_bracketed(const char *before, const char *text);
/* before, value and the end of the line. */
void qc_say_counted(const char *before, uint64_t value);

#endif

#include "qc_say.h"

#include "qc_port.h"

#define LARGEST_EXPONENT 17 /* mantissa * 2^17 * 1000 fits 64 bits */

void qc_say(const char *text) {
  uint32_t bytes = 0;
  while (text[bytes] != '\0') bytes++;
  qc_port_write((const uint8_t *)text, bytes);
}

void qc_say_number(uint64_t value) {
  char digits[21];
  char *at = digits + sizeof digits - 1;
  *at = '\0';
  do {
    const uint64_t rest = value / 10; /* no remainder of 64 bits: that costs a chip 1 KiB */
    *--at = (char)('0' + (value - 10 * rest));
    value = rest;
  } while (value != 0);
  qc_say(at);
}

void qc_say_hex_byte(uint8_t value) {
  static const char digits[] = "0123456789abcdef";
  const char text[] = {digits[value >> 4], digits[value & 15], '\0'};
  qc_say(text);
}

/* mantissa * 2^exponent; the mantissa below 2^32, the exponent at most LARGEST_EXPONENT. */
static void say_binary(int negative, uint64_t mantissa, int32_t exponent) {
  uint64_t thousandths = mantissa * 1000;
  if (exponent >= 0) {
    thousandths <<= exponent;
  } else if (exponent > -64) {
    const uint32_t right = (uint32_t)-exponent;
    const uint64_t rest = thousandths & ((UINT64_C(1) << right) - 1);
    const uint64_t half = UINT64_C(1) << (right - 1);
    thousandths >>= right;
    if (rest > half || (rest == half && (thousandths & 1) != 0)) thousandths++;
  } else {
    thousandths = 0;
  }
  const uint64_t ones = thousandths / 1000;
  const uint32_t decimals = (uint32_t)(thousandths - 1000 * ones);
  const char tail[] = {'.', (char)('0' + decimals / 100), (char)('0' + decimals / 10 % 10),
                       (char)('0' + decimals % 10), '\0'};
  if (negative) qc_say("-");
  qc_say_number(ones);
  qc_say(tail);
}

void qc_say_fraction(int64_t value, uint32_t shift) {
  say_binary(value < 0, (uint64_t)(value < 0 ? -value : value), -(int32_t)shift);
}

void qc_say_float(uint32_t bits) {
  const int negative = (bits >> 31) != 0;
  const int32_t field = (int32_t)(bits >> 23 & 0xff);
  const uint32_t fraction = bits & 0x7fffff;
  if (field == 255 && fraction != 0) {
    qc_say("nan");
  } else if (field - 150 > LARGEST_EXPONENT) {
    qc_say(negative ? "-inf" : "inf");
  } else if (field == 0) {
    say_binary(negative, 0, 0); /* far below a thousandth */
  } else {
    say_binary(negative, fraction | 0x800000u, field - 150);
  }
}

void qc_say_bracketed(const char *before, const char *text) {
  qc_say(before);
  qc_say(text);
  qc_say("]\r\n");
}

void qc_say_counted(const char *before, uint64_t value) {
  qc_say(before);
  qc_say_number(value);
  qc_say("\r\n");
}

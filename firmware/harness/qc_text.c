#include "qc_text.h"

#define SILENCE_MS 100u /* no frame pauses so long, and whoever types does */

int qc_text_push(qc_text_t *text, uint8_t byte) {
  text->silence_ms = 0;
  if (text->whole || byte == 0) *text = (qc_text_t){.behind_text = byte != 0};
  if (byte == 0) return 0;
  /* Not elsewhere: two types of frames have the values of CR and LF. */
  if (text->behind_text && text->bytes == 0 && (byte == '\r' || byte == '\n')) return 0;
  if (byte < 0x20 || byte > 0x7e || (byte == '%' && text->bytes == 0)) text->spoiled = 1;
  if (text->spoiled) return 0;
  if (byte == '%') {
    text->whole = 1;
    return 1;
  }
  if (text->bytes < QC_TEXT_MAX) text->line[text->bytes++] = (char)byte;
  return 0;
}

void qc_text_silence(qc_text_t *text) {
  if (!text->spoiled) return;
  if (++text->silence_ms >= SILENCE_MS) *text = (qc_text_t){0};
}

const char *qc_text_word(char **rest) {
  char *at = *rest;
  while (*at == ' ') at++;
  const char *word = at;
  while (*at != '\0' && *at != ' ') at++;
  if (*at != '\0') *at++ = '\0';
  *rest = at;
  return word;
}

int qc_text_equal(const char *a, const char *b) {
  while (*a != '\0' && *a == *b) a++, b++;
  return *a == *b;
}

int32_t qc_text_number(const char *word) {
  int negative = *word == '-';
  int64_t value = 0;
  if (*word == '-' || *word == '+') word++;
  for (; *word >= '0' && *word <= '9' && value <= INT32_MAX; word++)
    value = 10 * value + (*word - '0');
  if (value > INT32_MAX) value = INT32_MAX;
  return (int32_t)(negative ? -value : value);
}

int qc_text_hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

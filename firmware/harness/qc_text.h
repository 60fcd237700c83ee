/* Commands of text on the line between frames: printable ASCII that ends in a percent sign, as the
 * hosts of MLPerf Tiny send it (LINK.md, section 7). Knows no command's meaning. */
#ifndef QC_TEXT_H
#define QC_TEXT_H

#include <stdint.h>

#define QC_TEXT_MAX 80u /* of a command; what is longer is cut */

/* All zero: ready. */
typedef struct {
  char line[QC_TEXT_MAX + 1];
  uint32_t bytes;
  uint32_t silence_ms;
  uint8_t behind_text; /* a command went before: the end of its line may follow */
  uint8_t whole;       /* `line` has been handed out: the next byte begins another */
  uint8_t spoiled;     /* not text but a frame, or noise: until a zero, or silence */
} qc_text_t;

/* Returns 1 when `byte` ends a command; `line` holds it until the next byte is pushed. The second
 * byte of a frame is its type, which no text has, so no frame is ever taken for a command. */
int qc_text_push(qc_text_t *text, uint8_t byte);
/* About a millisecond passed without a byte: what spoiled the line may be over. */
void qc_text_silence(qc_text_t *text);

/* The next word, ended by a NUL in place; *rest moves behind it. Empty when there is none. */
const char *qc_text_word(char **rest);
int qc_text_equal(const char *a, const char *b);
/* A whole number as atoi reads it, kept within its type. */
int32_t qc_text_number(const char *word);
/* The value of a hex digit of either case; -1 for anything else. */
int qc_text_hex_digit(char c);

#endif

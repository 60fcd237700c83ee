/* What the checks of all operators have in common: rules that are true or false. */
#ifndef QC_CHECK_RULES_H
#define QC_CHECK_RULES_H

#include "qc_sections.h"

#define QC_REQUIRE(condition, status)                                                              \
  do {                                                                                             \
    if (!(condition)) return (status);                                                             \
  } while (0)

static inline int qc_within(int64_t value, int64_t low, int64_t high) {
  return value >= low && value <= high;
}

/* The size of the i-th axis from the innermost, which is 1. */
static inline uint32_t qc_from_end(const qc_tensor_t *t, uint32_t i) {
  return t->shape[t->rank - i];
}

int qc_is_byte(const qc_tensor_t *t);
int qc_is_integer(const qc_tensor_t *t);
/* What most operators work on: int8 or int16, in and out alike. */
int qc_are_activations(const qc_tensor_t *in, const qc_tensor_t *out);
/* Whether the tensor's type has the value. */
int qc_value_fits(const qc_tensor_t *t, int32_t value);
/* The same of a zero point: int16 is symmetric. */
int qc_zero_point_fits(const qc_tensor_t *t, int32_t zero_point);
int qc_range_fits(const qc_tensor_t *t, int32_t low, int32_t high);
/* Whether qc_requantize() takes the pair, by whichever rule its shift asks for. */
int qc_multiplier_fits(int32_t multiplier, int32_t shift);
/* Whether qc_requantize_ratio() takes sums of 62 bits with the pair. */
int qc_divisor_fits(int32_t divisor, int32_t shift);
/* Whether positions stay far from the limits of int32. */
int qc_window_fits(const qc_window_t *w, const qc_tensor_t *out);
/* Whether `in` broadcasts to `out` as in NumPy. */
int qc_broadcasts(const qc_tensor_t *in, const qc_tensor_t *out);
/* `bytes` of the constants from a multiple of 16 on. */
qc_status_t qc_check_table(const qc_image_t *image, uint32_t offset, uint32_t bytes);

#endif

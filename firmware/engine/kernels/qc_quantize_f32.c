/* QUANTIZE: float32 to int8, uint8 or int16, round(x / scale) + zero point. The quotient is rounded
 * to a float32 first (to nearest, even), then to an integer, halves away from zero (TFLite
 * quantize.h, AffineQuantize) or to even (ONNX QuantizeLinear). Values beyond the type saturate;
 * what is not a number gives the zero point. Integers only: the result is the same on every core,
 * with or without a floating-point unit. */
#include "qc_fixed_point.h"
#include "qc_float32.h"
#include "qc_kernels.h"

enum { QC_BEYOND = 1 << 16 }; /* outside of any 16-bit range, whatever the zero point */

/* |x| / scale as a rounded integer; `x` without its sign bit. */
static int32_t rounded_quotient(uint32_t x, qc_float_t scale, uint32_t half_even) {
  if (x > QC_FLOAT_INFINITY || x == 0) return 0;
  if (x == QC_FLOAT_INFINITY) return QC_BEYOND;
  qc_float_t value = qc_float_normalized(x);
  if (value.mantissa < scale.mantissa) value.mantissa *= 2, value.exponent--;
  uint32_t quotient = 1, rest = value.mantissa - scale.mantissa; /* 24 digits, the first is 1 */
  for (int i = 0; i < 23; i++) {
    rest *= 2, quotient *= 2;
    if (rest >= scale.mantissa) rest -= scale.mantissa, quotient++;
  }
  if (2 * rest > scale.mantissa || (2 * rest == scale.mantissa && (quotient & 1u))) quotient++;
  int32_t right = 23 - (value.exponent - scale.exponent);
  if (right <= 0) return QC_BEYOND;
  if (right > 25) return 0; /* below one half */
  uint32_t half = 1u << (right - 1), whole = (quotient + half) >> right;
  if (half_even && (quotient & (2 * half - 1)) == half) whole &= ~1u;
  return whole < QC_BEYOND ? (int32_t)whole : QC_BEYOND;
}

void qc_quantize_f32(const qc_float_edge_params_t *params, qc_operand_t input,
                     const qc_tensor_t *out, uint8_t *output) {
  const uint32_t *data = input.data;
  uint32_t half_even = params->scale & QC_HALF_EVEN;
  qc_float_t scale = qc_float_normalized(params->scale & ~QC_HALF_EVEN);
  int wide = out->dtype == QC_INT16;
  int32_t low = wide ? INT16_MIN : out->dtype == QC_INT8 ? INT8_MIN : 0;
  int32_t high = wide ? INT16_MAX : out->dtype == QC_INT8 ? INT8_MAX : UINT8_MAX;
  for (uint32_t i = 0; i < qc_elements(out); i++) {
    int32_t steps = rounded_quotient(data[i] & ~QC_FLOAT_SIGN, scale, half_even);
    int32_t q = (data[i] & QC_FLOAT_SIGN ? -steps : steps) + params->zero_point;
    q = qc_clamp(q, low, high);
    if (wide)
      ((int16_t *)(void *)output)[i] = (int16_t)q;
    else
      output[i] = (uint8_t)q;
  }
}

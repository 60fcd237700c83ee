/* QUANTIZE: float32 to int8 or uint8, round(x / scale) + zero point. The division is float32,
 * halves round away from zero (TFLite quantize.h, AffineQuantize). Values beyond the type
 * saturate; what is not a number gives the zero point. */
#include "qc_fixed_point.h"
#include "qc_kernels.h"

/* Round half away from zero; the result saturates far outside of any 8-bit range. */
static int32_t rounded(float x) {
  const float limit = 65536.0f;
  if (x >= limit) return 65536;
  if (x <= -limit) return -65536;
  if (!(x == x)) return 0;
  int32_t whole = (int32_t)x;
  float rest = x - (float)whole; /* exact */
  if (rest >= 0.5f) return whole + 1;
  if (rest <= -0.5f) return whole - 1;
  return whole;
}

void qc_quantize_f32(const qc_float_edge_params_t *params, qc_operand_t input,
                     const qc_tensor_t *out, uint8_t *output) {
  const float *data = input.data;
  int32_t low = out->dtype == QC_INT8 ? INT8_MIN : 0;
  int32_t high = out->dtype == QC_INT8 ? INT8_MAX : UINT8_MAX;
  for (uint32_t i = 0; i < out->bytes; i++) {
    int32_t q = rounded(data[i] / params->scale) + params->zero_point;
    output[i] = (uint8_t)qc_clamp(q, low, high);
  }
}

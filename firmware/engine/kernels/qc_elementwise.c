/* Operators with two inputs, int8 or int16, that broadcast as in NumPy (TFLite reference_ops/add.h,
 * sub.h, maximum_minimum.h, prelu.h, reference/integer_ops/mul.h and squared_difference.cc). */
#include "qc_broadcast.h"
#include "qc_fixed_point.h"
#include "qc_kernels.h"

typedef int32_t combine_t(const void *params, int32_t a, int32_t b);

/* Each input: (q - zero point) << left_shift, requantized to a common scale. */
static void on_one_scale(const qc_add_params_t *p, int32_t a, int32_t b, uint32_t scaled[2]) {
  int32_t left = (int32_t)p->left_shift;
  scaled[0] = (uint32_t)qc_requantize(qc_shift_left(a - p->input1_zero_point, left),
                                      p->input1_multiplier, p->input1_shift);
  scaled[1] = (uint32_t)qc_requantize(qc_shift_left(b - p->input2_zero_point, left),
                                      p->input2_multiplier, p->input2_shift);
}

static int32_t to_output(const qc_add_params_t *p, uint32_t x) {
  int32_t y = qc_requantize((int32_t)x, p->output_multiplier, p->output_shift);
  return qc_clamp(qc_add_zero_point(y, p->output_zero_point), p->act_min, p->act_max);
}

static int32_t added(const void *params, int32_t a, int32_t b) {
  uint32_t scaled[2];
  on_one_scale(params, a, b, scaled);
  return to_output(params, scaled[0] + scaled[1]);
}

static int32_t subtracted(const void *params, int32_t a, int32_t b) {
  uint32_t scaled[2];
  on_one_scale(params, a, b, scaled);
  return to_output(params, scaled[0] - scaled[1]);
}

static int32_t difference_squared(const void *params, int32_t a, int32_t b) {
  uint32_t scaled[2];
  on_one_scale(params, a, b, scaled);
  uint32_t difference = scaled[0] - scaled[1];
  return to_output(params, difference * difference);
}

static int32_t multiplied(const void *params, int32_t a, int32_t b) {
  const qc_mul_params_t *p = params;
  int32_t product = (a - p->input1_zero_point) * (b - p->input2_zero_point);
  int32_t y = qc_requantize(product, p->multiplier, p->shift);
  return qc_clamp(qc_add_zero_point(y, p->output_zero_point), p->act_min, p->act_max);
}

static int32_t smaller(const void *params, int32_t a, int32_t b) {
  (void)params;
  return a < b ? a : b;
}

static int32_t larger(const void *params, int32_t a, int32_t b) {
  (void)params;
  return a > b ? a : b;
}

static int32_t sloped(const qc_prelu_params_t *p, int32_t x, int32_t slope) {
  x -= p->input_zero_point;
  int32_t y = x >= 0 ? qc_requantize(x, p->identity_multiplier, p->identity_shift)
                     : qc_requantize(x * (slope - p->slope_zero_point), p->slope_multiplier,
                                     p->slope_shift);
  return qc_add_zero_point(y, p->output_zero_point);
}

static int32_t sloped_s8(const void *params, int32_t x, int32_t slope) {
  return qc_clamp(sloped(params, x, slope), INT8_MIN, INT8_MAX);
}

static int32_t sloped_s16(const void *params, int32_t x, int32_t slope) {
  return qc_clamp(sloped(params, x, slope), INT16_MIN, INT16_MAX);
}

static combine_t *function_of(uint8_t opcode, uint8_t dtype) {
  switch (opcode) {
  case QC_OP_ADD:
    return added;
  case QC_OP_SUB:
    return subtracted;
  case QC_OP_SQUARED_DIFFERENCE:
    return difference_squared;
  case QC_OP_MUL:
    return multiplied;
  case QC_OP_MINIMUM:
    return smaller;
  case QC_OP_MAXIMUM:
    return larger;
  default:
    return dtype == QC_INT8 ? sloped_s8 : sloped_s16;
  }
}

void qc_elementwise(uint8_t opcode, const void *params, qc_operand_t a, qc_operand_t b,
                    const qc_tensor_t *out, void *output) {
  combine_t *combine = function_of(opcode, out->dtype);
  qc_broadcast_t walk = qc_broadcast(a.tensor, b.tensor, out);
  uint32_t count = qc_elements(out);
  for (uint32_t i = 0; i < count; i++, qc_broadcast_next(&walk))
    qc_store(output, out->dtype, i,
             combine(params, qc_fetch(a, walk.at[0]), qc_fetch(b, walk.at[1])));
}

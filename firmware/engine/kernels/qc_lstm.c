/* LSTM of one sequence: (steps, features) to (steps, units), int8 or int16. Gates are sums in
 * Q3.12, the cell state is int16; both states begin at zero. The hidden state of a step is its
 * output, so the kernel reads the row before (TFLM lstm_eval.h). Biases have zero points folded in.
 */
#include "qc_kernels.h"
#include "qc_sigmoid.h"
#include "qc_wide.h"

enum { INPUT_GATE = 0, FORGET_GATE = 1, CELL_GATE = 2, OUTPUT_GATE = 3 };

typedef struct {
  const qc_lstm_params_t *params;
  const uint8_t *constants;
  uint32_t units, features, wide;
} qc_lstm_t;

static int32_t saturated(int32_t x) {
  return qc_clamp(x, INT16_MIN, INT16_MAX);
}

/* Sums of int8 are taken modulo 2^32. */
static int32_t narrow_sum(const int8_t *x, const int8_t *w, uint32_t count, int32_t bias) {
  uint32_t sum = (uint32_t)bias;
  for (uint32_t i = 0; i < count; i++) sum += (uint32_t)(x[i] * w[i]);
  return (int32_t)sum;
}

/* The products of row `x` with the weights at `weights`, and bias number `bias`, in steps of 2^-12.
 */
static int32_t part(const qc_lstm_t *op, const void *x, uint32_t weights, uint32_t count,
                    uint32_t bias, int32_t multiplier, int32_t shift) {
  const int8_t *w = (const int8_t *)op->constants + op->params->weights_offset + weights;
  const void *biases = op->constants + op->params->biases_offset;
  if (op->wide) {
    int64_t sum = ((const int64_t *)biases)[bias] + qc_dot_s16(x, w, (int32_t)count);
    return saturated(qc_requantize_wide(sum, multiplier, shift));
  }
  int32_t sum = narrow_sum(x, w, count, ((const int32_t *)biases)[bias]);
  return saturated(qc_requantize(sum, multiplier, shift));
}

/* `before` is the hidden state, NULL in the first step. */
static int32_t gate(const qc_lstm_t *op, uint32_t number, uint32_t unit, const void *x,
                    const void *before) {
  const qc_lstm_params_t *p = op->params;
  const uint16_t *table = (const void *)(op->constants + p->table_offset);
  uint32_t row = op->features + op->units, first = number * op->units * row;
  int32_t sum =
      part(op, x, first + unit * op->features, op->features, 2 * number * op->units + unit,
           p->input_multiplier[number], p->input_shift[number]);
  if (before)
    sum += part(op, before, first + op->units * (op->features + unit), op->units,
                (2 * number + 1) * op->units + unit, p->hidden_multiplier[number],
                p->hidden_shift[number]);
  sum = 3 * saturated(sum);
  return (int16_t)(number == CELL_GATE ? qc_tanh_of(sum, table) : qc_logistic_of(sum, table));
}

static int32_t product(int32_t a, int32_t b, int32_t multiplier, int32_t shift) {
  return saturated(qc_requantize(a * b, multiplier, shift));
}

/* The new cell state of a unit, and its new hidden state, which is returned. */
static int32_t advance(const qc_lstm_t *op, uint32_t unit, const void *x, const void *before,
                       int16_t *cell) {
  const qc_lstm_params_t *p = op->params;
  const uint16_t *table = (const void *)(op->constants + p->table_offset);
  int32_t kept = product(gate(op, FORGET_GATE, unit, x, before), before ? *cell : 0,
                         p->forget_multiplier, p->forget_shift);
  int32_t enters = gate(op, INPUT_GATE, unit, x, before);
  int32_t added =
      product(enters, gate(op, CELL_GATE, unit, x, before), p->update_multiplier, p->update_shift);
  int32_t state = qc_clamp(kept + added, p->cell_min, p->cell_max);
  *cell = (int16_t)state;
  int32_t half = p->tanh_shift > 0 ? 1 << (p->tanh_shift - 1) : 0;
  int32_t seen = (int16_t)qc_tanh_of((state * p->tanh_multiplier + half) >> p->tanh_shift, table);
  int32_t y = qc_requantize(seen * gate(op, OUTPUT_GATE, unit, x, before), p->output_multiplier,
                            p->output_shift);
  y = qc_add_zero_point(y, p->hidden_zero_point);
  return op->wide ? saturated(y) : qc_clamp(y, INT8_MIN, INT8_MAX);
}

void qc_lstm(const qc_lstm_params_t *params, const uint8_t *constants, qc_operand_t input,
             const qc_tensor_t *out, void *output, int16_t *cells) {
  uint32_t width = out->dtype == QC_INT16 ? 2u : 1u;
  uint32_t features = input.tensor->shape[2], units = out->shape[2];
  uint32_t steps = out->bytes / width / units;
  const qc_lstm_t op = {params, constants, units, features, width == 2};
  const uint8_t *x = input.data, *before = NULL;
  uint8_t *y = output;
  for (uint32_t t = 0; t < steps; t++, x += features * width, y += units * width) {
    for (uint32_t unit = 0; unit < units; unit++)
      qc_store(y, out->dtype, unit, advance(&op, unit, x, before, &cells[unit]));
    before = y;
  }
}

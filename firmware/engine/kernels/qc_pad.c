/* PAD and PADV2: 8-bit types and int16, up to five axes, one fill value. */
#include "qc_kernels.h"
#include "qc_move.h"
#include "qc_simd.h"

void qc_pad(const qc_pad_params_t *params, qc_operand_t input, const qc_tensor_t *out,
            uint8_t *output) {
  const qc_tensor_t *in = input.tensor;
  qc_move_t move = {.rank = in->rank, .size = in->dtype == QC_INT16 ? 2 : 1};
  if (move.size == 1)
    qc_fill(output, (int)params->value, out->bytes);
  else
    for (uint32_t i = 0; i < out->bytes / 2; i++)
      ((int16_t *)(void *)output)[i] = (int16_t)params->value;
  qc_copy(move.count, in->shape, sizeof move.count);
  qc_row_major(in, move.from);
  qc_row_major(out, move.to);
  for (uint32_t i = 0; i < in->rank; i++)
    output += params->before[i] * (uint32_t)move.to[i] * move.size;
  qc_move(&move, input.data, output);
}

/* TRANSPOSE, STRIDED_SLICE, and the outputs of SPLIT and UNPACK: a strided view of the input. */
#include "qc_kernels.h"
#include "qc_move.h"
#include "qc_simd.h"

void qc_slice(const qc_slice_params_t *params, qc_operand_t input, const qc_tensor_t *out,
              uint8_t *output) {
  const uint8_t *data = input.data;
  qc_move_t move = {.rank = out->rank, .size = out->dtype == QC_INT16 ? 2 : 1};
  qc_copy(move.count, out->shape, sizeof move.count);
  qc_copy(move.from, params->strides, sizeof move.from);
  qc_row_major(out, move.to);
  qc_move(&move, data + params->offset * move.size, output);
}

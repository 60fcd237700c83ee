/* RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR over NHWC. The image says where each row and column
 * of the output lies in the input, in steps of 1/1024 (TFLite reference/resize_bilinear.h,
 * ResizeBilinearInteger, and resize_nearest_neighbor.h). */
#include "qc_kernels.h"
#include "qc_simd.h"

/* All channels of one pixel between four of the input; `down` and `right` lead to the next ones. */
static void interpolate(const int8_t *from, uint32_t channels, uint32_t down, uint32_t right,
                        int32_t y, int32_t x, int8_t *to) {
  for (; channels > 0; channels--, from++) {
    int32_t left = from[0] * (1024 - y) + from[down] * y;
    int32_t next = from[right] * (1024 - y) + from[down + right] * y;
    int32_t sum = left * (1024 - x) + next * x;
    *to++ = (int8_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
  }
}

void qc_resize(const qc_resize_params_t *params, const uint8_t *constants, qc_operand_t input,
               const qc_tensor_t *out, uint8_t *output) {
  const qc_tensor_t *in = input.tensor;
  const qc_position_t *rows = (const void *)(constants + params->rows_offset);
  const qc_position_t *columns = (const void *)(constants + params->columns_offset);
  uint32_t channels = in->shape[3], row = in->shape[2] * channels;
  uint32_t size = in->dtype == QC_INT16 ? 2 : 1;
  for (uint32_t n = 0; n < out->shape[0]; n++)
    for (uint32_t y = 0; y < out->shape[1]; y++)
      for (uint32_t x = 0; x < out->shape[2]; x++, output += channels * size) {
        const uint8_t *from = input.data;
        qc_position_t at = rows[y], along = columns[x];
        from += ((n * in->shape[1] + at.lower) * row + along.lower * channels) * size;
        if (at.weight == 0 && along.weight == 0)
          qc_copy(output, from, channels * size);
        else
          interpolate((const int8_t *)from, channels, at.weight ? row : 0,
                      along.weight ? channels : 0, at.weight, along.weight, (int8_t *)output);
      }
}

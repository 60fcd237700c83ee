/* What follows from the records: how many elements, how weights are cut into runs and columns, how
 * much scratch a kernel needs. The same formulas stand in pytest_quantcheck/image/layout.py. */
#ifndef QC_LAYOUT_H
#define QC_LAYOUT_H

#include "qc_image.h"

#define QC_DEPTHWISE_GROUP 4 /* channels that a depthwise convolution takes at a time */

static inline uint32_t qc_round_up(uint32_t value, uint32_t multiple) {
  return (value + multiple - 1u) / multiple * multiple;
}

static inline uint32_t qc_elements(const qc_tensor_t *t) {
  uint32_t n = 1;
  for (uint32_t i = 0; i < t->rank; i++) n *= t->shape[i];
  return n;
}

/* PLAIN weights: input channels that one of the output channels sees. */
static inline uint32_t qc_plain_depth(const qc_conv_params_t *p, uint32_t outputs) {
  uint32_t weights = p->weights_bytes / (p->packing == QC_PACKING_PLAIN16 ? 2u : 1u);
  return weights / (outputs * p->window.kernel_h * p->window.kernel_w);
}

static inline int qc_same_shape(const qc_tensor_t *a, const qc_tensor_t *b) {
  if (a->rank != b->rank) return 0;
  for (uint32_t i = 0; i < a->rank; i++)
    if (a->shape[i] != b->shape[i]) return 0;
  return 1;
}

/* Whether ADD and SUB work with tables in scratch: many int8 of one shape, a multiplier below one
 * half. */
static inline int qc_add_has_tables(const qc_add_params_t *p, const qc_tensor_t *a,
                                    const qc_tensor_t *b, const qc_tensor_t *out) {
  return out->dtype == QC_INT8 && out->bytes >= QC_ADD_TABLE_ELEMENTS && qc_same_shape(a, out) &&
         qc_same_shape(b, out) && p->output_shift < 0 && p->output_shift >= -QC_FAST_SHIFT;
}

/* BLOCK4X4 columns are made of runs: stretches of a window that lie together in the NHWC input.
 * Every run is padded with zero weights to a multiple of four. */
static inline uint32_t qc_run_length(const qc_window_t *w, uint32_t channels) {
  return w->dilation_w == 1 ? w->kernel_w * channels : channels;
}

static inline uint32_t qc_run_count(const qc_window_t *w) {
  return w->dilation_w == 1 ? w->kernel_h : (uint32_t)w->kernel_h * w->kernel_w;
}

static inline uint32_t qc_column_length(const qc_window_t *w, uint32_t channels) {
  return qc_run_count(w) * qc_round_up(qc_run_length(w, channels), 4);
}

/* Scratch of CONV_2D: two columns of int16 (or four of int8) and one run. */
static inline uint32_t qc_column_scratch(uint32_t column, uint32_t run, uint32_t pixels) {
  return 2u * column * (pixels > 1 ? 2u : 1u) + qc_round_up(run, 4);
}

/* More scratch of a staged CONV_2D: its weights and channel records. */
static inline uint64_t qc_staged_scratch(const qc_conv_params_t *p) {
  if (!(p->flags & QC_CONV_STAGED)) return 0;
  return (uint64_t)p->weights_bytes + (uint64_t)p->channels * sizeof(qc_channel_t);
}

/* Scratch of FULLY_CONNECTED: two columns of int16; a single one is read where it is. */
static inline uint32_t qc_batch_scratch(uint32_t column, uint32_t batches) {
  return batches > 1 ? 4u * column : 0u;
}

/* Windows of which a kernel takes two neighbouring outputs at a time, and two cells. */
static inline int qc_is_paired_window(const qc_window_t *w) {
  return w->kernel_w == 3 && w->dilation_w == 1 && w->stride_w <= 2;
}

/* DEPTHWISE_CONV_2D works in a ring of input rows, as many as a window covers and as wide as a row
 * of outputs needs. */
static inline uint32_t qc_plane_width(const qc_window_t *w, uint32_t out_w) {
  uint32_t step = qc_is_paired_window(w) ? 2u : 1u, outputs = qc_round_up(out_w, step);
  uint32_t width = (outputs - 1) * w->stride_w + (w->kernel_w - 1u) * w->dilation_w + 1u;
  return qc_round_up(width, step);
}

static inline uint32_t qc_plane_rows(const qc_window_t *w) {
  return (w->kernel_h - 1u) * w->dilation_h + 1u;
}

/* Its scratch: the ring and a kernel, int16 for the channels of a group. */
static inline uint64_t qc_depthwise_scratch(const qc_window_t *w, uint32_t out_w) {
  uint64_t cells = (uint64_t)qc_plane_rows(w) * qc_plane_width(w, out_w);
  return 2u * QC_DEPTHWISE_GROUP * (cells + (uint64_t)w->kernel_h * w->kernel_w);
}

#endif

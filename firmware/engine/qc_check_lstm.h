/* What the kernel of LSTM relies on. */
#ifndef QC_CHECK_LSTM_H
#define QC_CHECK_LSTM_H

#include "qc_sections.h"
#include "qc_status.h"

qc_status_t qc_check_lstm(const qc_image_t *image, const qc_operator_t *op,
                          const qc_lstm_params_t *p, const qc_tensor_t *in, const qc_tensor_t *out);

#endif

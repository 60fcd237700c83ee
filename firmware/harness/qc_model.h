/* Models and their memory. */
#ifndef QC_MODEL_H
#define QC_MODEL_H

#include "qc_context.h"

/* Makes room for an image of so many bytes at the bottom of the pool: the current model is gone. */
qc_status_t qc_model_begin_image(qc_context_t *context, uint32_t bytes);
/* Loads the image that the transfer has put there. */
qc_status_t qc_model_load_ram(qc_context_t *context);
/* Loads the model that is compiled into the runtime; QC_ERR_UNSUPPORTED where there is none. */
qc_status_t qc_model_load_builtin(qc_context_t *context);
/* The model with this SHA-256: the current one, or one of the store. */
qc_status_t qc_model_select(qc_context_t *context, const uint8_t *sha256);
/* CRC-32 of the model's bytes now; 0 where there are none to read. */
uint32_t qc_model_crc(const qc_model_t *model);

#endif

/* Opening a device image: what makes it safe to execute. */
#ifndef QC_OPEN_H
#define QC_OPEN_H

#include "qc_sections.h"

#ifndef QC_WORK_LIMIT
#define QC_WORK_LIMIT (UINT64_C(1) << 31) /* steps of one inference: a few minutes on a chip */
#endif

/* Checks everything that an execution relies on: afterwards no kernel can leave the constants and
 * an arena of header->arena_bytes, whatever else the image says. */
qc_status_t qc_image_open(qc_image_t *image, const uint8_t *data, size_t bytes);

#endif

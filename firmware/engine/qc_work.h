/* How much work an operator is. */
#ifndef QC_WORK_H
#define QC_WORK_H

#include "qc_sections.h"

/* Steps that a checked operator takes at most (SPEC.md, "Work"): a small image can ask for far more
 * work than its size suggests. */
uint64_t qc_operator_work(const qc_image_t *image, const qc_operator_t *op);

#endif

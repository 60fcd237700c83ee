/* What an opcode promises, and the checks of one operator (called by qc_image_open). */
#ifndef QC_CHECK_H
#define QC_CHECK_H

#include "qc_sections.h"

/* What all operators of an opcode have in common. */
typedef struct {
  uint8_t params_bytes;
  uint8_t inputs;   /* 0: any number */
  uint8_t in_place; /* every output element follows from the input elements at its own place */
} qc_opcode_facts_t;

/* NULL when there is no such opcode. */
const qc_opcode_facts_t *qc_opcode_facts(uint8_t opcode);

/* One operator against its tensors, parameters, constants and scratch. */
qc_status_t qc_operator_check(const qc_image_t *image, const qc_operator_t *op);

#endif

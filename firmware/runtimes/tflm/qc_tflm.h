/* TensorFlow Lite Micro as a runtime of the harness (qc_tflm.cc). */
#ifndef QC_TFLM_H
#define QC_TFLM_H

#include "tensorflow/lite/micro/micro_op_resolver.h"

/* The operators of this firmware. qc_tflm_operators.cc has those of most int8 networks; a file of
 * yours in its place may have fewer, or more. */
const tflite::MicroOpResolver &qc_tflm_operators();

#endif

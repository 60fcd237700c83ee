#include "qc_scores.h"

#include "qc_say.h"

static const uint8_t element_bytes[] = {
    [QC_INT8] = 1, [QC_UINT8] = 1, [QC_INT16] = 2, [QC_INT32] = 4, [QC_FLOAT32] = 4};

static uint32_t elements(const qc_io_t *io) {
  return io->dtype <= QC_FLOAT32 ? io->bytes / element_bytes[io->dtype] : 0;
}

typedef struct {
  const char *name;
  uint32_t inputs, outputs; /* elements */
  uint8_t pictures;         /* samples are uint8 */
  uint8_t anomaly;          /* the score is the mean squared error */
} benchmark_t;

static const benchmark_t benchmarks[] = {
    {.name = "kws01", .inputs = 490, .outputs = 12},
    {.name = "vww01", .inputs = 27648, .outputs = 2, .pictures = 1},
    {.name = "ic01", .inputs = 3072, .outputs = 10, .pictures = 1},
    {.name = "ad01", .inputs = 640, .outputs = 640, .anomaly = 1},
};

static const benchmark_t *benchmark_of(qc_context_t *context) {
  qc_runtime_t *runtime = context->runtime;
  qc_io_t input, output;
  if (runtime->describe_input(runtime, 0, &input) != QC_OK ||
      runtime->describe_output(runtime, 0, &output) != QC_OK) {
    return NULL;
  }
  for (uint32_t i = 0; i < sizeof benchmarks / sizeof benchmarks[0]; i++) {
    const benchmark_t *each = &benchmarks[i];
    if (each->anomaly && (input.dtype != QC_FLOAT32 || output.dtype != QC_FLOAT32)) continue;
    if (elements(&input) == each->inputs && elements(&output) == each->outputs) return each;
  }
  return NULL;
}

const char *qc_benchmark_name(qc_context_t *context, char room[12]) {
  static const char digits[] = "0123456789abcdef";
  const benchmark_t *known = benchmark_of(context);
  if (known != NULL) return known->name;
  memcpy(room, "qc-", 3);
  for (uint32_t i = 0; i < 8; i++) {
    const uint8_t byte = context->model.sha256[i / 2];
    room[3 + i] = digits[i % 2 == 0 ? byte >> 4 : byte & 15];
  }
  room[11] = '\0';
  return room;
}

uint8_t qc_sample_mask(qc_context_t *context) {
  qc_io_t input;
  const benchmark_t *known = benchmark_of(context);
  if (known == NULL || !known->pictures) return 0;
  if (context->runtime->describe_input(context->runtime, 0, &input) != QC_OK) return 0;
  return input.dtype == QC_INT8 ? 0x80 : 0;
}

/* An integer as what SOFTMAX would mean by it: lowest 0, highest almost 1. TFLite fixes these
 * scales; those of other outputs are not known here, but their order is right. */
static void say_element(uint8_t dtype, const uint8_t *at) {
  switch (dtype) {
  case QC_INT8:
    qc_say_fraction((int8_t)at[0] + 128, 8);
    break;
  case QC_UINT8:
    qc_say_fraction(at[0], 8);
    break;
  case QC_INT16:
    qc_say_fraction((int16_t)qc_get_u16(at), 15);
    break;
  case QC_INT32:
    qc_say_fraction((int32_t)qc_get_u32(at), 0);
    break;
  default:
    qc_say_float(qc_get_u32(at));
    break;
  }
}

static qc_status_t say_output(qc_context_t *context, uint32_t index) {
  qc_runtime_t *runtime = context->runtime;
  qc_io_t io;
  qc_status_t status = runtime->describe_output(runtime, index, &io);
  if (status == QC_OK && io.dtype > QC_FLOAT32) status = QC_ERR_TYPE;
  for (uint32_t i = 0; status == QC_OK && i < elements(&io); i++) {
    uint8_t value[4] = {0};
    const uint32_t bytes = element_bytes[io.dtype];
    status = runtime->get_output(runtime, index, i * bytes, value, bytes);
    if (index + i != 0) qc_say(",");
    say_element(io.dtype, value);
  }
  return status;
}

/* How far the output is from the input, element by element. */
static qc_status_t say_squared_error(qc_context_t *context, uint32_t count) {
  qc_runtime_t *runtime = context->runtime;
  float sum = 0;
  for (uint32_t i = 0; i < count; i++) {
    float made, given;
    qc_status_t status = runtime->get_output(runtime, 0, 4 * i, &made, 4);
    if (status != QC_OK) return status;
    memcpy(&given, context->model.inputs[0].data + 4 * i, 4);
    sum += (made - given) * (made - given);
  }
  const float mean = sum / (float)count;
  uint32_t bits;
  memcpy(&bits, &mean, sizeof bits);
  qc_say_float(bits);
  return QC_OK;
}

qc_status_t qc_say_results(qc_context_t *context) {
  qc_runtime_t *runtime = context->runtime;
  const benchmark_t *known = benchmark_of(context);
  qc_status_t status = QC_OK;
  qc_say("m-results-[");
  if (known != NULL && known->anomaly) {
    status = say_squared_error(context, known->outputs);
  } else {
    const uint32_t outputs = runtime->output_count(runtime);
    for (uint32_t i = 0; status == QC_OK && i < outputs; i++) status = say_output(context, i);
  }
  qc_say("]\r\n");
  return status;
}

// TensorFlow Lite Micro as a runtime of the harness. Compile it in your TFLM tree, with
// -fno-exceptions -fno-rtti -fno-threadsafe-statics as TFLM itself.
//
// The artefact is the .tflite as it is. TFLM's interpreter, its tensors and its scratch buffers
// all live in the pool. The harness's hook comes out of the profiler interface: TFLM calls it
// around every operator unless it is compiled with TF_LITE_STRIP_ERROR_STRINGS, which leaves the
// records empty. A run cannot be stopped there, so QC_CAP_TENSOR_FETCH is not offered.
//
// The flatbuffer is verified before TFLM sees it. TFLM checks little more than that: of a file
// that is a sound flatbuffer and no sound network it may still crash.
#include "qc_tflm.h"

#include <cstring>
#include <new>

#include "qc_runtime.h"
#include "tensorflow/lite/micro/memory_helpers.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_profiler_interface.h"
#include "tensorflow/lite/schema/schema_generated.h"

#ifndef QC_TFLM_VERSION
#define QC_TFLM_VERSION "unknown" // TFLM has no version: give the commit of your tree
#endif

namespace {
using Interpreter = tflite::MicroInterpreter;

// Calls the hook when an operator of the main graph has ended. Operators inside of control flow
// belong to the operator around them.
class Observer : public tflite::MicroProfilerInterface {
public:
  void start(const tflite::Model *model, Interpreter *interpreter, qc_operator_hook_t hook,
             void *user) {
    operators_ = model->subgraphs()->Get(0)->operators();
    interpreter_ = interpreter;
    hook_ = hook;
    user_ = user;
    depth_ = next_ = record_ = 0;
  }
  void stop() {
    hook_ = nullptr;
  }

  uint32_t BeginEvent(const char *) override {
    return depth_++ == 0 ? next_++ : kInside;
  }

  void EndEvent(uint32_t event) override {
    if (depth_ > 0) depth_--;
    if (hook_ == nullptr || event >= operators_->size()) return;  // kInside is none
    const auto *outputs = operators_->Get(event)->outputs();
    for (uint32_t i = 0; i < outputs->size(); i++) tell(event, i, outputs->Get(i));
  }

private:
  static constexpr uint32_t kInside = UINT32_MAX;

  void tell(uint32_t source, uint32_t output, int32_t index) {
    TfLiteEvalTensor *tensor = index < 0 ? nullptr : interpreter_->GetTensor(index);
    size_t bytes = 0;
    if (tensor == nullptr || tflite::TfLiteEvalTensorByteLength(tensor, &bytes) != kTfLiteOk)
      return;
    (void)hook_(user_, record_++, source | output << 16, tensor->data.data,
                static_cast<uint32_t>(bytes));
  }

  const flatbuffers::Vector<flatbuffers::Offset<tflite::Operator>> *operators_ = nullptr;
  Interpreter *interpreter_ = nullptr;
  qc_operator_hook_t hook_ = nullptr;
  void *user_ = nullptr;
  uint32_t depth_ = 0, next_ = 0, record_ = 0;
};

struct State {
  const tflite::Model *model;
  Interpreter *interpreter;
};
State state;
Observer observer;
alignas(Interpreter) unsigned char place[sizeof(Interpreter)];

qc_status_t load(qc_runtime_t *, const uint8_t *artefact, size_t bytes, uint8_t *pool,
                 size_t pool_bytes) {
  state = {};
  flatbuffers::Verifier verifier(artefact, bytes);
  if (!tflite::VerifyModelBuffer(verifier)) return QC_ERR_MAGIC;
  const tflite::Model *model = tflite::GetModel(artefact);
  if (model->version() != TFLITE_SCHEMA_VERSION) return QC_ERR_VERSION;
  if (model->subgraphs() == nullptr || model->subgraphs()->size() == 0) return QC_ERR_SHAPE;
  // No destructor for the interpreter before: what it would look at is overwritten by now.
  auto *made =
      new (place) Interpreter(model, qc_tflm_operators(), pool, pool_bytes, nullptr, &observer);
  if (made->AllocateTensors() != kTfLiteOk) return QC_ERR_NO_MEMORY;
  state = {model, made};
  return QC_OK;
}

uint32_t input_count(const qc_runtime_t *) {
  return state.model ? static_cast<uint32_t>(state.interpreter->inputs_size()) : 0;
}

uint32_t output_count(const qc_runtime_t *) {
  return state.model ? static_cast<uint32_t>(state.interpreter->outputs_size()) : 0;
}

// One record for each output of an operator.
uint32_t operator_count(const qc_runtime_t *) {
  uint32_t count = 0;
  if (!state.model) return count;
  const auto *operators = state.model->subgraphs()->Get(0)->operators();
  for (uint32_t i = 0; i < operators->size(); i++) count += operators->Get(i)->outputs()->size();
  return count;
}

qc_status_t describe(const TfLiteTensor *tensor, qc_io_t *io) {
  io->bytes = static_cast<uint32_t>(tensor->bytes);
  switch (tensor->type) {
  case kTfLiteInt8:
    io->dtype = QC_INT8;
    return QC_OK;
  case kTfLiteUInt8:
    io->dtype = QC_UINT8;
    return QC_OK;
  case kTfLiteInt16:
    io->dtype = QC_INT16;
    return QC_OK;
  case kTfLiteInt32:
    io->dtype = QC_INT32;
    return QC_OK;
  case kTfLiteFloat32:
    io->dtype = QC_FLOAT32;
    return QC_OK;
  default:
    return QC_ERR_TYPE;
  }
}

qc_status_t describe_input(const qc_runtime_t *self, uint32_t index, qc_io_t *io) {
  if (index >= input_count(self)) return QC_ERR_ARGUMENT;
  return describe(state.interpreter->input(index), io);
}

qc_status_t describe_output(const qc_runtime_t *self, uint32_t index, qc_io_t *io) {
  if (index >= output_count(self)) return QC_ERR_ARGUMENT;
  return describe(state.interpreter->output(index), io);
}

bool outside(const TfLiteTensor *tensor, uint32_t offset, uint32_t bytes) {
  return offset > tensor->bytes || bytes > tensor->bytes - offset;
}

qc_status_t set_input(qc_runtime_t *self, uint32_t index, uint32_t offset, const void *data,
                      uint32_t bytes) {
  if (index >= input_count(self)) return QC_ERR_ARGUMENT;
  TfLiteTensor *tensor = state.interpreter->input(index);
  if (outside(tensor, offset, bytes)) return QC_ERR_BOUNDS;
  std::memcpy(tensor->data.raw + offset, data, bytes);
  return QC_OK;
}

qc_status_t get_output(const qc_runtime_t *self, uint32_t index, uint32_t offset, void *data,
                       uint32_t bytes) {
  if (index >= output_count(self)) return QC_ERR_ARGUMENT;
  const TfLiteTensor *tensor = state.interpreter->output(index);
  if (outside(tensor, offset, bytes)) return QC_ERR_BOUNDS;
  std::memcpy(data, tensor->data.raw + offset, bytes);
  return QC_OK;
}

qc_status_t invoke(qc_runtime_t *, qc_operator_hook_t hook, void *user) {
  if (!state.model) return QC_ERR_NO_MODEL;
  observer.start(state.model, state.interpreter, hook, user);
  TfLiteStatus status = state.interpreter->Invoke();
  observer.stop();
  return status == kTfLiteOk ? QC_OK : QC_ERR_STATE;
}

uint32_t arena_bytes(const qc_runtime_t *) {
  return state.model ? static_cast<uint32_t>(state.interpreter->arena_used_bytes()) : 0;
}
} // namespace

extern "C" qc_runtime_t *qc_harness_runtime(void) {
  static qc_runtime_t runtime = {
      "tflm",          QC_TFLM_VERSION,
      "tflite",        QC_CAP_OPERATOR_CRC | QC_CAP_PROFILE | QC_CAP_LOAD,
      nullptr,         load,
      input_count,     output_count,
      operator_count,  describe_input,
      describe_output, set_input,
      invoke,          get_output,
      arena_bytes,     nullptr, /* set_states */
  };
  return &runtime;
}

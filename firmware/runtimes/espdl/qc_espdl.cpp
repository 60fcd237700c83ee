// ESP-DL (3.x) as a runtime of the harness, in an ESP-IDF project that has both as components. The
// .espdl is embedded in the firmware:
//   target_add_aligned_binary_data(${COMPONENT_LIB} model.espdl BINARY)
//
// QC_ESPDL_SHA256: 64 hex digits, of the .onnx that the .espdl was written from (quantcheck
// write-espdl).
// QC_ESPDL_TURNED: bit n set: input n is channels first in the .onnx and channels last in the
// .espdl, as the image that a network of convolutions begins with. The default is bit 0.
// QC_ESPDL_OUTPUTS_TURNED: the same of outputs, as the maps of a detector or a segmentation. The
// default are all of four axes.
//
// ESP-DL takes its memory from ESP-IDF's heap, not from the pool, and tells nothing between
// operators: there are no records, and no arena size.
#include <cstring>
#include <string>
#include <vector>

#include "dl_model_base.hpp"
#include "qc_runtime.h"

#ifndef QC_ESPDL_SHA256
#error "say of which artefact the .espdl was made: -DQC_ESPDL_SHA256=\"<64 hex digits>\""
#endif
#ifndef QC_ESPDL_TURNED
#define QC_ESPDL_TURNED 1u
#endif
#ifndef QC_ESPDL_OUTPUTS_TURNED
#define QC_ESPDL_OUTPUTS_TURNED 0xFFFFFFFFu
#endif

extern const uint8_t qc_espdl_model[] asm("_binary_model_espdl_start");

namespace {
dl::Model *model;
std::vector<dl::TensorBase *> inputs, outputs;

// Its maps are sorted by name; the graph knows the order.
bool ordered(const std::vector<std::string> &names, std::map<std::string, dl::TensorBase *> &found,
             std::vector<dl::TensorBase *> *tensors) {
  tensors->clear();
  for (const std::string &name : names) {
    auto at = found.find(name);
    if (at == found.end() || at->second == nullptr) return false;
    tensors->push_back(at->second);
  }
  return true;
}

// Built once: the model is in the firmware, and the pool is not used.
qc_status_t load(qc_runtime_t *, const uint8_t *artefact, size_t, uint8_t *, size_t) {
  if (artefact != nullptr) return QC_ERR_UNSUPPORTED;
  if (model == nullptr) {
    model = new dl::Model(reinterpret_cast<const char *>(qc_espdl_model),
                          fbs::MODEL_LOCATION_IN_FLASH_RODATA);
  }
  fbs::FbsModel *file = model->get_fbs_model();
  if (file == nullptr) return QC_ERR_MAGIC;
  bool found = ordered(file->get_graph_inputs(), model->get_inputs(), &inputs) &&
               ordered(file->get_graph_outputs(), model->get_outputs(), &outputs);
  return found ? QC_OK : QC_ERR_SHAPE;
}

uint32_t input_count(const qc_runtime_t *) {
  return static_cast<uint32_t>(inputs.size());
}

uint32_t output_count(const qc_runtime_t *) {
  return static_cast<uint32_t>(outputs.size());
}

uint32_t none(const qc_runtime_t *) {
  return 0;
}

qc_status_t describe(dl::TensorBase *tensor, qc_io_t *io) {
  io->bytes = static_cast<uint32_t>(tensor->get_bytes());
  switch (tensor->get_dtype()) {
  case dl::DATA_TYPE_INT8:
    io->dtype = QC_INT8;
    return QC_OK;
  case dl::DATA_TYPE_UINT8:
    io->dtype = QC_UINT8;
    return QC_OK;
  case dl::DATA_TYPE_INT16:
    io->dtype = QC_INT16;
    return QC_OK;
  case dl::DATA_TYPE_INT32:
    io->dtype = QC_INT32;
    return QC_OK;
  case dl::DATA_TYPE_FLOAT:
    io->dtype = QC_FLOAT32;
    return QC_OK;
  default:
    return QC_ERR_TYPE;
  }
}

qc_status_t describe_input(const qc_runtime_t *, uint32_t index, qc_io_t *io) {
  return index < inputs.size() ? describe(inputs[index], io) : QC_ERR_ARGUMENT;
}

qc_status_t describe_output(const qc_runtime_t *, uint32_t index, qc_io_t *io) {
  return index < outputs.size() ? describe(outputs[index], io) : QC_ERR_ARGUMENT;
}

bool outside(dl::TensorBase *tensor, uint32_t offset, uint32_t bytes) {
  uint32_t all = static_cast<uint32_t>(tensor->get_bytes());
  return offset > all || bytes > all - offset;
}

// Where a byte of a channels-first tensor lies in the tensor of `shape` (N, ..., C), channels last.
size_t turned(const std::vector<int> &shape, size_t element_bytes, size_t byte) {
  size_t channels = static_cast<size_t>(shape.back()), inner = 1;
  for (size_t i = 1; i + 1 < shape.size(); i++) inner *= static_cast<size_t>(shape[i]);
  size_t element = byte / element_bytes, cell = element % inner;
  size_t channel = element / inner % channels, sample = element / inner / channels;
  return ((sample * inner + cell) * channels + channel) * element_bytes + byte % element_bytes;
}

qc_status_t set_input(qc_runtime_t *, uint32_t index, uint32_t offset, const void *data,
                      uint32_t bytes) {
  if (index >= inputs.size()) return QC_ERR_ARGUMENT;
  dl::TensorBase *tensor = inputs[index];
  if (outside(tensor, offset, bytes)) return QC_ERR_BOUNDS;
  uint8_t *to = tensor->get_element_ptr<uint8_t>();
  const std::vector<int> shape = tensor->get_shape();
  if ((QC_ESPDL_TURNED >> index & 1u) == 0 || shape.size() < 3) {
    std::memcpy(to + offset, data, bytes);
    return QC_OK;
  }
  const uint8_t *from = static_cast<const uint8_t *>(data);
  for (uint32_t i = 0; i < bytes; i++) {
    to[turned(shape, tensor->get_dtype_bytes(), offset + i)] = from[i];
  }
  return QC_OK;
}

qc_status_t get_output(const qc_runtime_t *, uint32_t index, uint32_t offset, void *data,
                       uint32_t bytes) {
  if (index >= outputs.size()) return QC_ERR_ARGUMENT;
  if (outside(outputs[index], offset, bytes)) return QC_ERR_BOUNDS;
  dl::TensorBase *tensor = outputs[index];
  const uint8_t *from = tensor->get_element_ptr<uint8_t>();
  const std::vector<int> shape = tensor->get_shape();
  if ((QC_ESPDL_OUTPUTS_TURNED >> index & 1u) == 0 || shape.size() != 4) {
    std::memcpy(data, from + offset, bytes);
    return QC_OK;
  }
  uint8_t *to = static_cast<uint8_t *>(data);
  for (uint32_t i = 0; i < bytes; i++) {
    to[i] = from[turned(shape, tensor->get_dtype_bytes(), offset + i)];
  }
  return QC_OK;
}

qc_status_t invoke(qc_runtime_t *, qc_operator_hook_t, void *) {
  if (outputs.empty()) return QC_ERR_NO_MODEL;
  model->run();
  return QC_OK;
}
} // namespace

extern "C" qc_runtime_t *qc_harness_runtime(void) {
  static qc_runtime_t runtime = {
      "espdl",
      "ESP-DL",
      "builtin:" QC_ESPDL_SHA256,
      0,
      nullptr,
      load,
      input_count,
      output_count,
      none,
      describe_input,
      describe_output,
      set_input,
      invoke,
      get_output,
      none,
      nullptr, /* set_states */
  };
  return &runtime;
}

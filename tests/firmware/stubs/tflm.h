/* The part of TensorFlow Lite Micro's interface that qc_tflm.cc uses, with a network of its own: no TFLM.
 *
 * A model: "TFLM", version, elements, bytes of arena, all u32. Its operators: 0: y = x ^ 0x55;
 * 1: two outputs, the halves of y, with an event inside;
 * 2: the halves again, the second first. */
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#define TFLITE_SCHEMA_VERSION (3)

typedef enum { kTfLiteOk = 0, kTfLiteError = 1 } TfLiteStatus;
typedef enum {
  kTfLiteFloat32 = 1, kTfLiteInt32 = 2, kTfLiteUInt8 = 3, kTfLiteInt64 = 4, kTfLiteInt16 = 7, kTfLiteInt8 = 9
} TfLiteType;
typedef union { char *raw; void *data; } TfLitePtrUnion;
typedef struct { TfLitePtrUnion data; size_t bytes; TfLiteType type; } TfLiteTensor;
typedef struct { TfLitePtrUnion data; size_t bytes; } TfLiteEvalTensor;

namespace flatbuffers {
template <typename T> struct Offset { const T *at; };
template <typename T> struct Returned { static T get(const T &x) { return x; } };
template <typename T> struct Returned<Offset<T>> { static const T *get(const Offset<T> &x) { return x.at; } };
template <typename T> struct Vector {
  T items[4];
  uint32_t count;
  uint32_t size() const { return count; }
  auto Get(uint32_t i) const { return Returned<T>::get(items[i]); }
};
struct Verifier {
  const uint8_t *data;
  size_t bytes;
  Verifier(const uint8_t *d, size_t b) : data(d), bytes(b) {}
};
}  // namespace flatbuffers

namespace tflite {
struct Operator {
  flatbuffers::Vector<int32_t> ends;
  const flatbuffers::Vector<int32_t> *outputs() const { return &ends; }
};
struct SubGraph {
  flatbuffers::Vector<flatbuffers::Offset<Operator>> all;
  const flatbuffers::Vector<flatbuffers::Offset<Operator>> *operators() const { return &all; }
};
struct Model {
  uint32_t fields[4];
  uint32_t version() const { return fields[1]; }
  const flatbuffers::Vector<flatbuffers::Offset<SubGraph>> *subgraphs() const {
    static const Operator first = {{{1}, 1}}, halves = {{{2, 3}, 2}}, swapped = {{{4}, 1}};
    static const SubGraph graph = {{{{&first}, {&halves}, {&swapped}}, 3}};
    static const flatbuffers::Vector<flatbuffers::Offset<SubGraph>> graphs = {{{&graph}}, 1};
    return &graphs;
  }
};
inline bool VerifyModelBuffer(flatbuffers::Verifier &v) {
  return v.bytes == sizeof(Model) && std::memcmp(v.data, "TFLM", 4) == 0;
}
inline const Model *GetModel(const void *data) { return static_cast<const Model *>(data); }

struct MicroProfilerInterface {
  virtual ~MicroProfilerInterface() {}
  virtual uint32_t BeginEvent(const char *tag) = 0;
  virtual void EndEvent(uint32_t event) = 0;
};
struct MicroOpResolver {};
struct MicroResourceVariables;
inline TfLiteStatus TfLiteEvalTensorByteLength(const TfLiteEvalTensor *tensor, size_t *bytes) {
  *bytes = tensor->bytes;
  return kTfLiteOk;
}

class MicroInterpreter {
 public:
  MicroInterpreter(const Model *model, const MicroOpResolver &, uint8_t *arena, size_t bytes,
                   MicroResourceVariables *, MicroProfilerInterface *profiler)
      : model_(model), arena_(arena), bytes_(bytes), profiler_(profiler) {}
  TfLiteStatus AllocateTensors() {
    size_t n = model_->fields[2], at = 0;
    if (model_->fields[3] > bytes_ || 4 * n > model_->fields[3]) return kTfLiteError;
    for (size_t size : {n, n, n / 2, n / 2, n}) {
      TfLiteEvalTensor *next = &tensors_[at++];
      *next = {{reinterpret_cast<char *>(arena_)}, size};
      arena_ += size;
    }
    for (size_t i = 0; i < 2; i++) edges_[i] = {tensors_[4 * i].data, n, kTfLiteInt8};
    return kTfLiteOk;
  }
  TfLiteStatus Invoke() {
    size_t n = model_->fields[2];
    char *t[5];
    for (int i = 0; i < 5; i++) t[i] = tensors_[i].data.raw;
    uint32_t event = profiler_->BeginEvent("XOR");
    for (size_t i = 0; i < n; i++) t[1][i] = static_cast<char>(t[0][i] ^ 0x55);
    profiler_->EndEvent(event);
    event = profiler_->BeginEvent("IF");
    uint32_t inside = profiler_->BeginEvent("SPLIT");
    std::memcpy(t[2], t[1], n / 2);
    std::memcpy(t[3], t[1] + n / 2, n / 2);
    profiler_->EndEvent(inside);
    profiler_->EndEvent(event);
    event = profiler_->BeginEvent("CONCATENATION");
    std::memcpy(t[4], t[3], n / 2);
    std::memcpy(t[4] + n / 2, t[2], n / 2);
    profiler_->EndEvent(event);
    return kTfLiteOk;
  }
  TfLiteTensor *input(size_t) { return &edges_[0]; }
  TfLiteTensor *output(size_t) { return &edges_[1]; }
  size_t inputs_size() const { return 1; }
  size_t outputs_size() const { return 1; }
  TfLiteEvalTensor *GetTensor(int index, int = 0) { return &tensors_[index]; }
  size_t arena_used_bytes() const { return model_->fields[3]; }

 private:
  const Model *model_;
  uint8_t *arena_;
  size_t bytes_;
  MicroProfilerInterface *profiler_;
  TfLiteEvalTensor tensors_[5];
  TfLiteTensor edges_[2];
};

template <unsigned count> struct MicroMutableOpResolver : MicroOpResolver {
  unsigned left = count;
  TfLiteStatus one() { return left-- > 0 ? kTfLiteOk : kTfLiteError; }
#define OP(name) TfLiteStatus Add##name() { return one(); }
  OP(Add) OP(AveragePool2D) OP(Concatenation) OP(Conv2D) OP(DepthwiseConv2D) OP(Dequantize)
  OP(FullyConnected) OP(HardSwish) OP(Logistic) OP(MaxPool2D) OP(Mean) OP(Mul) OP(Pad) OP(Quantize)
  OP(Relu) OP(Relu6) OP(Reshape) OP(Softmax) OP(Split) OP(Sub) OP(Tanh) OP(Transpose)
#undef OP
};
}  // namespace tflite

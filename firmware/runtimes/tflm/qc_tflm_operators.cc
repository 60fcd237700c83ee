// The operators that this firmware runs: each costs flash, so take out what your networks lack.
// TFLM says at load what is missing ("Didn't find op for builtin opcode ...").
#include "qc_tflm.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace {
constexpr unsigned kOperators = 22;
using Resolver = tflite::MicroMutableOpResolver<kOperators>;

Resolver made() {
  Resolver all;
  all.AddAdd();
  all.AddAveragePool2D();
  all.AddConcatenation();
  all.AddConv2D();
  all.AddDepthwiseConv2D();
  all.AddDequantize();
  all.AddFullyConnected();
  all.AddHardSwish();
  all.AddLogistic();
  all.AddMaxPool2D();
  all.AddMean();
  all.AddMul();
  all.AddPad();
  all.AddQuantize();
  all.AddRelu();
  all.AddRelu6();
  all.AddReshape();
  all.AddSoftmax();
  all.AddSplit();
  all.AddSub();
  all.AddTanh();
  all.AddTranspose();
  return all;
}
} // namespace

const tflite::MicroOpResolver &qc_tflm_operators() {
  static const Resolver all = made();
  return all;
}

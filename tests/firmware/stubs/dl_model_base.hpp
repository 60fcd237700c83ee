/* The part of ESP-DL's interface that qc_espdl.cpp uses, with a network of its own: its output are the 24
 * values of the input "z" (1, 2, 3, 4) in the order in which they lie there, each plus input "a". */
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fbs {
typedef enum { MODEL_LOCATION_IN_FLASH_RODATA = 0 } model_location_type_t;
struct FbsModel {
  std::vector<std::string> get_graph_inputs() { return {"z", "a"}; }
  std::vector<std::string> get_graph_outputs() { return {"y"}; }
};
}  // namespace fbs

namespace dl {
typedef enum {
  DATA_TYPE_FLOAT = 1, DATA_TYPE_UINT8 = 2, DATA_TYPE_INT8 = 3, DATA_TYPE_INT16 = 5, DATA_TYPE_INT32 = 6,
  DATA_TYPE_INT64 = 7
} dtype_t;
struct TensorBase {
  std::vector<int> shape;
  dtype_t dtype;
  std::vector<int16_t> values;
  TensorBase(std::vector<int> s, dtype_t t, int count) : shape(s), dtype(t), values(count) {}
  size_t get_dtype_bytes() { return dtype == DATA_TYPE_INT8 ? 1 : 2; }
  int get_bytes() { return static_cast<int>(values.size() * get_dtype_bytes()); }
  std::vector<int> get_shape() { return shape; }
  dtype_t get_dtype() { return dtype; }
  template <typename T> T *get_element_ptr() { return reinterpret_cast<T *>(values.data()); }
};
class Model {
  TensorBase z{{1, 2, 3, 4}, DATA_TYPE_INT16, 24}, a{{1, 1}, DATA_TYPE_INT16, 1}, y{{1, 2, 3, 4}, DATA_TYPE_INT16, 24};
  std::map<std::string, TensorBase *> inputs{{"a", &a}, {"z", &z}}, outputs{{"y", &y}};
  fbs::FbsModel file;
  bool sound;

 public:
  Model(const char *rodata, fbs::model_location_type_t) : sound(rodata[0] == 'E') {}
  fbs::FbsModel *get_fbs_model() { return sound ? &file : nullptr; }
  std::map<std::string, TensorBase *> &get_inputs() { return inputs; }
  std::map<std::string, TensorBase *> &get_outputs() { return outputs; }
  void run() {
    for (int i = 0; i < 24; i++) y.values[i] = static_cast<int16_t>(z.values[i] + a.values[0]);
  }
};
}  // namespace dl

"""The headers of ESP-DL 1.1 as far as exported files use them, for tests: a layer says what it does."""

from __future__ import annotations

from pathlib import Path

from pytest_quantcheck.workflows.espdl.model_class import HEADERS

CONSTANTS = """#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string>
#include <vector>
namespace dl {
typedef enum { Linear, ReLU, LeakyReLU, PReLU } activation_type_t;
typedef enum { PADDING_VALID, PADDING_SAME_BEGIN, PADDING_SAME_END, PADDING_NOT_SET } padding_type_t;
template <typename T> struct Filter {
  Filter(const T *, const int, const std::vector<int>, const std::vector<int>) {}
  Filter(const T *, const int8_t *, const int, const std::vector<int>, const std::vector<int>) {}
};
template <typename T> struct Bias {
  Bias(const T *, const int, const std::vector<int>) {}
  Bias(const T *, const int8_t *, const int, const std::vector<int>) {}
};
template <typename T> struct Activation {
  Activation(const activation_type_t) {}
  Activation(const activation_type_t, const T *, const int, const std::vector<int>) {}
};
template <typename T> struct Tensor {
  std::string name;
  explicit Tensor(const std::string &given) : name(given) {}
  void free_element() { printf("free %s\\n", name.c_str()); }
};
template <typename T> struct Model {
  virtual ~Model() {}
  virtual void build(Tensor<T> &input) = 0;
  virtual void call(Tensor<T> &input) = 0;
};
namespace layer {
template <typename T> struct Base {
  Tensor<T> output;
  explicit Base(const char *name) : output(name) {}
  Tensor<T> &get_output() { return output; }
  void told(const char *what, const Tensor<T> &x) {
    printf("%s %s %s\\n", what, output.name.c_str(), x.name.c_str());
  }
  void build(Tensor<T> &x) { told("build", x); }
  void call(Tensor<T> &x) { told("call", x); }
};
template <typename T> struct Pair : Base<T> {
  Pair(const int, const Activation<T> *, const char *name) : Base<T>(name) {}
  void build(Tensor<T> &x, Tensor<T> &) { this->told("build", x); }
  void call(Tensor<T> &x, Tensor<T> &) { this->told("call", x); }
};
template <typename T, typename B = T> struct Conv2D : Base<T> {
  Conv2D(const int, const Filter<T> *, const Bias<B> *, const Activation<T> *, const padding_type_t,
         std::vector<int>, const int, const int, const char *name) : Base<T>(name) {}
};
template <typename T, typename B = T> struct DepthwiseConv2D : Conv2D<T, B> { using Conv2D<T, B>::Conv2D; };
template <typename T> struct Reshape : Base<T> {
  Reshape(std::vector<int>, const char *name) : Base<T>(name) {}
};
template <typename T> struct Relu : Base<T> { explicit Relu(const char *name) : Base<T>(name) {} };
template <typename T> struct MaxPool2D : Base<T> {
  MaxPool2D(std::vector<int>, const padding_type_t, std::vector<int>, const int, const int, const char *name)
      : Base<T>(name) {}
};
template <typename T> struct AvgPool2D : Base<T> {
  AvgPool2D(const int, std::vector<int>, const padding_type_t, std::vector<int>, const int, const int,
            const char *name) : Base<T>(name) {}
};
template <typename T> struct GlobalAveragePool2D : Base<T> {
  GlobalAveragePool2D(const int, const char *name) : Base<T>(name) {}
};
template <typename T> struct Add2D : Pair<T> { using Pair<T>::Pair; };
template <typename T> struct Sub2D : Pair<T> { using Pair<T>::Pair; };
template <typename T> struct Mul2D : Pair<T> { using Pair<T>::Pair; };
}
}
"""


def write_headers(folder: Path) -> None:
    """``dl_constant.hpp`` and what includes it."""
    (folder / "dl_constant.hpp").write_text(CONSTANTS)
    for header in ("model", *HEADERS.values()):
        (folder / f"dl_layer_{header}.hpp").write_text('#pragma once\n#include "dl_constant.hpp"\n')

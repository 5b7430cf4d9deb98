// Elementwise functions as layers.
#pragma once

#include "weft/autograd/ops/softmax.h"
#include "weft/autograd/ops/unary.h"
#include "weft/nn/module.h"

namespace weft::nn {

/// A layer for a function of one tensor; used through the names below.
template <Tensor (*function)(const Tensor&)>
class Activation : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return function(x); }
};

struct ReLU : Activation<relu> {};
struct Tanh : Activation<tanh> {};
struct Sigmoid : Activation<sigmoid> {};
struct SiLU : Activation<silu> {};
struct GELU : Activation<gelu> {};
struct Softplus : Activation<softplus> {};

class LeakyReLU : public Layer {
 public:
  explicit LeakyReLU(double slope = 0.01) : slope_(slope) {}
  Tensor forward(const Tensor& x) const override { return leaky_relu(x, slope_); }
  std::string describe() const override { return weft::detail::concat("LeakyReLU(", slope_, ")"); }

 private:
  double slope_;
};

/// Softmax along an axis.
class Softmax : public Layer {
 public:
  explicit Softmax(int64_t axis = 1) : axis_(axis) {}
  Tensor forward(const Tensor& x) const override { return softmax(x, axis_); }
  std::string describe() const override { return weft::detail::concat("Softmax(axis ", axis_, ")"); }

 private:
  int64_t axis_;
};

}  // namespace weft::nn

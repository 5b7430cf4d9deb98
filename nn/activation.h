// Elementwise functions as layers.
#pragma once

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

}  // namespace weft::nn

// Dropout as a layer.
#pragma once

#include "weft/autograd/ops/dropout.h"
#include "weft/nn/module.h"

namespace weft::nn {

class Dropout : public Layer {
 public:
  /// p: probability of zero.
  explicit Dropout(double p = 0.5) : p_(p) {
    WEFT_CHECK(Error, p >= 0 && p < 1, "Dropout: p is ", p, "; it lies in [0, 1)");
  }
  Tensor forward(const Tensor& x) const override { return training() ? dropout(x, p_) : x; }
  std::string describe() const override { return weft::detail::concat("Dropout(", p_, ")"); }

 private:
  double p_;
};

}  // namespace weft::nn

// Linear: y = x W^T + b.
#pragma once

#include "weft/nn/module.h"

namespace weft::nn {

struct LinearOptions {
  bool bias = true;
};

class Linear : public Layer {
 public:
  /// Values uniform in +-1 / sqrt(in), as in PyTorch.
  Linear(int64_t in, int64_t out, LinearOptions options = {});
  /// [..., in] -> [..., out]
  Tensor forward(const Tensor& x) const override;
  std::string describe() const override;

  Parameter weight, bias;  // [out, in], [out]
  WEFT_MEMBERS(weight, bias)
};

}  // namespace weft::nn

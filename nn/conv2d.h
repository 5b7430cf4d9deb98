// Conv2d: a layer of convolution filters.
#pragma once

#include "weft/nn/module.h"
#include "weft/tensor/ops/conv2d.h"

namespace weft::nn {

struct Conv2dOptions {
  Pair kernel = 3;
  Pair stride = 1;
  Padding padding = 0;
  Pair dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  bool relu = false;  ///< max(y, 0) in the same pass
};

class Conv2d : public Layer {
 public:
  /// Values uniform in +-1 / sqrt(fan_in), as in PyTorch. The weight lies channels-last in memory.
  Conv2d(int64_t in, int64_t out, const Conv2dOptions& options = {});
  /// [N, in, H, W] -> [N, out, oh, ow], channels-last
  Tensor forward(const Tensor& x) const override;
  std::string describe() const override;

  Parameter weight, bias;  // [out, in / groups, kh, kw], [out]
  WEFT_MEMBERS(weight, bias)

 private:
  Conv2dOptions options_;
};

}  // namespace weft::nn

// Conv1d: a layer of convolution filters along one axis.
#pragma once

#include "weft/nn/module.h"

namespace weft::nn {

struct Conv1dOptions {
  int64_t kernel = 3;
  int64_t stride = 1;
  int64_t padding = 0;  ///< zeros at both ends
  int64_t dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  bool relu = false;  ///< max(y, 0) in the same pass
};

class Conv1d : public Layer {
 public:
  /// Values uniform in +-1 / sqrt(fan_in), as in PyTorch. Throws ShapeError unless groups divide both.
  Conv1d(int64_t in, int64_t out, Conv1dOptions options = {});
  /// [N, in, L] -> [N, out, l]
  Tensor forward(const Tensor& x) const override;
  std::string describe() const override;

  Parameter weight, bias;  // [out, in / groups, kernel], [out]
  WEFT_MEMBERS(weight, bias)

 private:
  Conv1dOptions options_;
};

}  // namespace weft::nn

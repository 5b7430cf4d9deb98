// ConvTranspose2d: the transpose of a convolution as a layer; learned upsampling.
#pragma once

#include "weft/nn/module.h"
#include "weft/tensor/ops/conv2d.h"

namespace weft::nn {

struct ConvTranspose2dOptions {
  Pair kernel = 2;
  Pair stride = 1;
  Padding padding = 0;      ///< cut off the result
  Pair output_padding = 0;  ///< rows and columns that the result has more; less than stride
  Pair dilation = 1;
  int64_t groups = 1;
  bool bias = true;
};

class ConvTranspose2d : public Layer {
 public:
  /// Values uniform in +-1 / sqrt(out / groups * kernel area), as in PyTorch. Throws ShapeError unless groups divide
  /// both.
  ConvTranspose2d(int64_t in, int64_t out, ConvTranspose2dOptions options = {});
  /// [N, in, H, W] -> [N, out, (H - 1) stride - padding + dilation (kernel - 1) + output_padding + 1, …], channels-last
  Tensor forward(const Tensor& x) const override;
  std::string describe() const override;

  Parameter weight, bias;  // [in, out / groups, kh, kw], [out]
  WEFT_MEMBERS(weight, bias)

 private:
  ConvTranspose2dOptions options_;
};

}  // namespace weft::nn

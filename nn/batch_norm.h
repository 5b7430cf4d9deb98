// BatchNorm2d: batch norm over the channels of [N, C] or [N, C, d…], by a rank's share or, with `sync`, by the whole
// batch. Without `sync` every rank gathers running statistics of its own; evaluation, saving and module.to() merge them
// (see Placed::settle), so that they do not depend on the device.
#pragma once

#include "weft/nn/module.h"

namespace weft::nn {

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;  ///< weight of the new statistics in the running ones
  bool affine = true;     ///< with weight and bias
  bool relu = false;      ///< max(y, 0) in the same pass
  /// Statistics over all ranks that run the module together, merged by count, so that the result does not depend on how
  /// the batch was split. Without ranks it is the same as plain batch norm.
  bool sync = false;
};

class BatchNorm2d : public Layer {
 public:
  explicit BatchNorm2d(int64_t channels, BatchNormOptions options = {});
  /// Same shape out, channels-last. In training: normalises by the batch and updates the running statistics.
  Tensor forward(const Tensor& x) const override;
  /// The same with `residual`, of x's shape, added before the ReLU, in one pass: the end of a residual block.
  Tensor forward(const Tensor& x, const Tensor& residual) const;
  std::string describe() const override;

  Parameter weight, bias;            // [C]; undefined unless affine
  Buffer running_mean, running_var;  // [C]
  WEFT_MEMBERS(weight, bias, running_mean, running_var)

 private:
  Tensor normalized(const Tensor& x, const Tensor* residual) const;

  BatchNormOptions options_;
};

}  // namespace weft::nn

// Recorded batch norm with a residual added, and ReLU, in one pass: the end of a residual block.
#pragma once

#include "weft/autograd/ops/batch_norm.h"

namespace weft {

/// y = bn(x) + residual, with options.relu max(y, 0): batch_norm's formula, vectors, checks and running statistics; the
/// residual has x's shape and dtype. The result is channels-last.
Tensor batch_norm_add(const Tensor& x, const Tensor& residual, const Tensor& gamma, const Tensor& beta,
                      const Tensor& running_mean, const Tensor& running_var, const BatchNormOptions& options = {});

namespace autograd {
/// dy where y > 0, else 0: the gradient of the residual under a ReLU; recorded.
Tensor batch_norm_add_backward(const Tensor& dy, const Tensor& y);
}  // namespace autograd

}  // namespace weft

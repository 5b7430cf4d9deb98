// Recorded log_softmax.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// y_i = x_i - log sum_j exp(x_j) along `axis`; floating dtypes, any rank >= 1.
Tensor log_softmax(const Tensor& x, int64_t axis = -1);

namespace autograd {
/// The gradient of log_softmax from its output y, itself recorded.
Tensor log_softmax_backward(const Tensor& dy, const Tensor& y, int64_t axis);
}  // namespace autograd

}  // namespace weft

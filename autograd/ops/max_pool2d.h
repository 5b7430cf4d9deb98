// Recorded max pooling.
#pragma once

#include "weft/tensor/ops/max_pool2d.h"
#include "weft/tensor/tensor.h"

namespace weft {

/// x [N, C, H, W] -> [N, C, OH, OW], channels-last; `max_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1})`. Padding
/// counts as -inf, NaN wins, the gradient goes to the first of equal maxima. Padding is at most half of the kernel.
Tensor max_pool2d(const Tensor& x, const MaxPool2dOptions& options);

namespace autograd {
/// dy at the maxima, 0 elsewhere: [N, C, OH, OW] -> [N, C, size.h, size.w]. Recorded.
Tensor max_pool2d_backward(const Tensor& dy, const Tensor& index, Pair size, const MaxPool2dOptions& options);
/// x where the maxima were: [N, C, H, W] -> [N, C, OH, OW]. Recorded.
Tensor max_pool2d_gather(const Tensor& x, const Tensor& index, const MaxPool2dOptions& options);
}  // namespace autograd

}  // namespace weft

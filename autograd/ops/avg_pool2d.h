// Recorded average pooling.
#pragma once

#include "weft/tensor/ops/avg_pool2d.h"
#include "weft/tensor/tensor.h"

namespace weft {

/// x [N, C, H, W] -> [N, C, OH, OW], channels-last; floating dtypes. The mean of each window, as PyTorch takes it:
/// `avg_pool2d(x, {.kernel = 2, .stride = 2, .ceil_mode = true, .count_include_pad = false})`. ShapeError.
Tensor avg_pool2d(const Tensor& x, const AvgPool2dOptions& options);
/// x [N, C, H, W] -> [N, C, size.h, size.w]: window o of an axis covers pixels floor(o in / out) … ceil((o + 1) in /
/// out) - 1. ShapeError.
Tensor adaptive_avg_pool2d(const Tensor& x, Pair size);
/// x [N, C, H, W] -> [N, C, 1, 1]: the mean of each channel. ShapeError on an image without pixels.
Tensor global_avg_pool2d(const Tensor& x);

namespace autograd {
/// The means over given windows, and their transpose [N, C, OH, OW] -> [N, C, H, W]; recorded.
Tensor average(const Tensor& x, const PoolWindows& windows, const char* name);
Tensor average_backward(const Tensor& dy, const PoolWindows& windows, const char* name);
}  // namespace autograd

}  // namespace weft

// Recorded bilinear resize.
#pragma once

#include "weft/tensor/ops/resize.h"
#include "weft/tensor/tensor.h"

namespace weft {

/// x [N, C, H, W] -> [N, C, size.h, size.w], channels-last; floating dtypes. PyTorch's bilinear interpolate, with
/// corners aligned or not: tensor/ops/resize.h has the formula.
Tensor resize(const Tensor& x, Pair size, const ResizeOptions& options = {});

namespace autograd {
/// The transpose: [N, C, h, w] -> [N, C, size.h, size.w], `size` that of the image that was resized. Recorded.
Tensor resize_backward(const Tensor& dy, Pair size, const ResizeOptions& options);
}  // namespace autograd

}  // namespace weft

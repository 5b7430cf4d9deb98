// Recorded resize, bilinear or nearest.
#pragma once

#include "weft/tensor/ops/resize.h"
#include "weft/tensor/tensor.h"

namespace weft {

/// x [N, C, H, W] -> [N, C, size.h, size.w], channels-last. PyTorch's interpolate: bilinear (floating dtypes) with
/// corners aligned or not, or nearest (any dtype); tensor/ops/resize.h and resize_nearest.h have the formulas.
Tensor resize(const Tensor& x, Pair size, const ResizeOptions& options = {});

/// Output / input: `2` for both axes, or {height, width}.
struct ResizeScale {
  double h, w;
  ResizeScale(double both) : h(both), w(both) {}
  ResizeScale(double height, double width) : h(height), w(width) {}
};
/// To floor(H scale.h) by floor(W scale.w); positions are worked out with the scales themselves, as PyTorch's
/// interpolate does with a scale_factor, unless corners are aligned. Error unless the scales are positive and finite.
Tensor resize_by(const Tensor& x, ResizeScale scale, ResizeOptions options = {});

namespace autograd {
/// The transpose: [N, C, h, w] -> [N, C, size.h, size.w], `size` that of the image that was resized. Recorded.
Tensor resize_backward(const Tensor& dy, Pair size, const ResizeOptions& options);
}  // namespace autograd

}  // namespace weft

// Recorded padding.
#pragma once

#include "weft/tensor/ops/pad.h"
#include "weft/tensor/tensor.h"

namespace weft {

/// Pads the last two axes of x [H, W], [N, H, W] or [N, C, H, W], of any dtype: `pad(x, {0, 32, 0, 32}, {.value =
/// -1})`. Constant, by reflection (without the edge) or by the edge's pixels; negative numbers crop. With
/// options.values, one per channel, a tensor of rank 3 is [C, H, W]. Rank 4 comes out channels-last. ShapeError if
/// nothing is left, or a reflection is as large as the image.
Tensor pad(const Tensor& x, const Padding& padding, const PadOptions& options = {});

namespace autograd {
/// The transpose: dy [N, C, h, w] -> [N, C, size.h, size.w], `size` that of the image that was padded. Recorded.
Tensor pad_backward(const Tensor& dy, Pair size, const Padding& padding, PadMode mode);
}  // namespace autograd

}  // namespace weft

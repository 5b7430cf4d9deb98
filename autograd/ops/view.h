// Recorded views: other shapes and strides of the same memory. tensor/ops/view.h says what each does; members of Tensor
// have the same names.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

Tensor reshape(const Tensor& x, const Shape& shape);
Tensor flatten(const Tensor& x, int64_t from = 0, int64_t to = -1);
Tensor permute(const Tensor& x, const Dims& order);
Tensor transpose(const Tensor& x, int64_t a = -2, int64_t b = -1);
Tensor expand(const Tensor& x, const Shape& shape);
Tensor unsqueeze(const Tensor& x, int64_t axis);
Tensor squeeze(const Tensor& x, int64_t axis);
Tensor slice(const Tensor& x, int64_t axis, int64_t start, int64_t stop, int64_t step = 1);
Tensor select(const Tensor& x, int64_t axis, int64_t i);

namespace autograd {
/// Zeros of `shape` with dy in the slice: the gradient of slice, itself recorded.
Tensor slice_backward(const Tensor& dy, const Shape& shape, int64_t axis, int64_t start, int64_t stop, int64_t step);
}  // namespace autograd

}  // namespace weft

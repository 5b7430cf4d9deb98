// Recorded sums, means and maxima over any axes.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// Over options.axes, all if none. Of x's dtype; i64 for integers and bool.
Tensor sum(const Tensor& x, const ReduceOptions& options = {});
/// Sum over the axes that broadcasting `shape` to x's shape added or widened; x itself if the shapes are equal.
Tensor sum_to(const Tensor& x, const Shape& shape);
/// Floating dtypes.
Tensor mean(const Tensor& x, const ReduceOptions& options = {});
/// NaN wins. The gradient goes to the first maximum in logical order.
Tensor max(const Tensor& x, const ReduceOptions& options = {});
/// Index (i64) of the first maximum along an axis; never recorded.
Tensor argmax(const Tensor& x, int64_t axis, bool keep = false);

namespace autograd {
/// dy at the places `index` of shape `shape`, 0 elsewhere: the gradient of max, itself recorded.
Tensor max_backward(const Tensor& dy, const Tensor& index, const Shape& shape, const ReduceOptions& options);
/// x at the places `index`: the gradient of max_backward, itself recorded.
Tensor max_gather(const Tensor& x, const Tensor& index, const ReduceOptions& options);
}  // namespace autograd

}  // namespace weft

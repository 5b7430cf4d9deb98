// Views: other shapes and strides of the same memory. No kernels; only reshape may copy.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft::ops {

/// Elements in logical (row-major) order under a new shape; one extent may be -1. A view where the strides allow it,
/// else a row-major copy. ShapeError if the numbers of elements differ.
Tensor reshape(const Tensor& x, const Shape& shape);
/// Joins axes from … to into one.
Tensor flatten(const Tensor& x, int64_t from = 0, int64_t to = -1);
/// Axis i of the result is axis order[i] of x. IndexError unless `order` names every axis once.
Tensor permute(const Tensor& x, const Dims& order);
/// Exchanges two axes.
Tensor transpose(const Tensor& x, int64_t a = -2, int64_t b = -1);
/// Broadcasts to `shape` without copying (stride 0); -1 keeps an extent.
Tensor expand(const Tensor& x, const Shape& shape);
/// A new axis of extent 1 at position axis in [-rank - 1, rank].
Tensor unsqueeze(const Tensor& x, int64_t axis);
/// Without an axis of extent 1; ShapeError if it is longer.
Tensor squeeze(const Tensor& x, int64_t axis);
/// Elements start, start + step, … before stop along an axis. Negative positions count from the end; both are then
/// clamped to [0, extent]. ShapeError unless step > 0.
Tensor slice(const Tensor& x, int64_t axis, int64_t start, int64_t stop, int64_t step = 1);
/// Element i along an axis, without that axis. IndexError.
Tensor select(const Tensor& x, int64_t axis, int64_t i);
/// The gradient of slice: zeros of `shape` (x's) with dy written where the slice was taken.
Tensor slice_backward(const Tensor& dy, const Shape& shape, int64_t axis, int64_t start, int64_t stop, int64_t step);

}  // namespace weft::ops

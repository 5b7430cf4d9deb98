// What operations share when they turn tensors into kernel arguments: checks, layouts, and how dimensions collapse.
#pragma once

#include <span>

#include "weft/tensor/collapsed.h"
#include "weft/tensor/tensor.h"

namespace weft::ops {

/// DtypeError unless floating.
void check_floating(const char* operation, const Tensor& x);
/// DeviceError `add: operands on cpu:0 and cpu:1; move one with .to(cpu:0)` unless on one device.
void check_same_device(const char* operation, const Tensor& a, const Tensor& b);
/// Same shape, dtype and device.
void check_same(const char* operation, const Tensor& a, const Tensor& b);
void check_rank(const char* operation, const Tensor& x, int rank, const char* expected_shape);

/// Gap-free strides whose dimensions follow each other as those of x do in memory; row-major if x is broadcast.
Strides dense_strides_in_order_of(const Tensor& x);
/// x itself if its elements fill a gap-free block in some order of dimensions, else a row-major copy.
Tensor dense_like(const Tensor& x);
/// x itself if dense in `layout`, else a copy.
Tensor contiguous(const Tensor& x, Layout layout = Layout::row_major);
/// x with exactly the strides of `reference` (same shape): itself or a copy.
Tensor with_strides_of(const Tensor& x, const Tensor& reference);

/// A dense tensor seen as [outer, n, inner] in memory order around logical axis `axis`.
struct AxisSplit {
  int64_t outer = 1, n = 1, inner = 1;
};
/// x must be permuted-dense. Extents slower in memory than `axis` go to outer, faster ones to inner.
AxisSplit split_at(const Tensor& x, int axis);

using weft::Collapsed;
/// `strides[k]` belongs to operand k and to `shape`; broadcast dimensions have stride 0.
Collapsed collapse(const Shape& shape, std::span<const Strides> strides);
/// Strides of x seen as `shape` by broadcasting (stride 0 where extents grow). x must broadcast to it.
Strides broadcast_strides(const Tensor& x, const Shape& shape);

}  // namespace weft::ops

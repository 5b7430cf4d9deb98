// Recorded sums at places named by an index tensor (i64 or i32, counted from 0). Each sum is taken in the order of the
// positions along the axis, whatever the device or the number of threads. Indices out of range as in gather.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// x with source[…, j, …] added at […, index[…, j, …], …] along an axis: source and index have one shape, of x's rank
/// and off the axis at most x's extents. Any dtype but bool, the same for x and source.
Tensor scatter_add(const Tensor& x, int64_t axis, const Tensor& index, const Tensor& source);
/// x with slice number i of source added to slice number index[i] of x: source is shaped as index_select's result.
Tensor index_add(const Tensor& x, int64_t axis, const Tensor& index, const Tensor& source);

}  // namespace weft

// Recorded sorting, stable on every device. Order: -inf < … < -0 = +0 < … < +inf < NaN, all NaN equal; false < true.
// Descending is that order reversed (NaN first), and equal elements keep their order in both.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

struct SortResult {
  Tensor values;  ///< recorded
  Tensor index;   ///< i64: where each value was along the axis
};

/// All elements in order along an axis (of at most 2^31 - 1 elements).
SortResult sort(const Tensor& x, int64_t axis = -1, bool descending = false);
/// The k largest (or smallest) elements along an axis, the largest (smallest) first; NaN counts as larger than all.
/// Of equal elements the first ones. ShapeError unless 0 <= k <= extent.
SortResult topk(const Tensor& x, int64_t k, int64_t axis = -1, bool largest = true);
/// The index of sort; never recorded.
Tensor argsort(const Tensor& x, int64_t axis = -1, bool descending = false);

}  // namespace weft

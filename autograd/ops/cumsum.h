// Recorded running sums.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// Element i along `axis` becomes the sum of elements 0 … i, or i … n - 1 if `reverse`. Of x's dtype; i64 for integers
/// and bool. The gradient is the running sum from the other end.
Tensor cumsum(const Tensor& x, int64_t axis, bool reverse = false);

}  // namespace weft

// The k-th largest value of each row.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// x [..., M] floating -> [...]: the k-th largest value along the last axis, k = 1 the largest; NaN counts as larger
/// than any number. Never recorded: a threshold, not a function to differentiate. IndexError unless 1 <= k <= M.
Tensor kth_largest(const Tensor& x, int64_t k);

}  // namespace weft

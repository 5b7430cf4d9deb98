// Recorded logarithms of sums of exponentials.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// log(sum(exp(x))) over options.axes, all if none, taken from the largest element, so that nothing overflows. Floating
/// dtypes; 16-bit ones are computed in f32. Of no elements: -inf.
Tensor logsumexp(const Tensor& x, const ReduceOptions& options = {});

}  // namespace weft

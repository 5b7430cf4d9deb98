// Recorded flip and roll; tensor/ops/flip.h says what they do.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// Reversed along each of `axes`.
Tensor flip(const Tensor& x, const Dims& axes);
/// Element i moves to (i + shift) mod extent along an axis.
Tensor roll(const Tensor& x, int64_t shift, int64_t axis);

}  // namespace weft

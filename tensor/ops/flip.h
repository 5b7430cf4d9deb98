// flip and roll: elements in another order along axes. Made of copies: no kernels of their own.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft::ops {

/// Reversed along each of `axes`; a copy with the strides of a dense x, or row-major. IndexError if an axis is named
/// twice.
Tensor flip(const Tensor& x, const Dims& axes);
/// Element i moves to (i + shift) mod extent along an axis; a negative shift moves down. A copy, strides as above.
Tensor roll(const Tensor& x, int64_t shift, int64_t axis);

}  // namespace weft::ops

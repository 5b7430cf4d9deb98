// Recorded products of elements.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// Over options.axes, all if none. Of x's dtype; i64 for integers and bool. Of no elements: 1. The gradient is the
/// product of all other elements, exact where some are 0. Multiplied pairwise in a fixed order: about log2(n) passes
/// over half of the elements each. 16-bit types are multiplied in f32.
Tensor prod(const Tensor& x, const ReduceOptions& options = {});

}  // namespace weft

// Recorded matrix products.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// [..., M, K] x [..., K, N] -> [..., M, N]; leading extents broadcast. A vector counts as [1, K] on the left and as
/// [K, 1] on the right, and the result loses that extent. One floating dtype; transposed views are read in place.
/// Throws ShapeError `matmul: inner sizes differ, [8, 3] x [4, 5]`, DtypeError, DeviceError.
Tensor matmul(const Tensor& a, const Tensor& b);

}  // namespace weft

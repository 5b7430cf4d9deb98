// Recorded linear map of rows, and the outer product; both composed of recorded operations.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// y = x wT + b: x [..., K], w [O, K], bias [O] or undefined -> [..., O]; one floating dtype. Throws ShapeError,
/// DtypeError, DeviceError.
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias = {});

/// y_ij = a_i b_j: a [M], b [N] -> [M, N], of the promoted dtype. Throws ShapeError, DeviceError.
Tensor outer(const Tensor& a, const Tensor& b);

}  // namespace weft

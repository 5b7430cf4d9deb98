// Recorded copies: to another device, dtype or layout. Each returns x itself where nothing has to change.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// To a device; see ops::copy in tensor/ops/copy.h for what waits for what.
Tensor to(const Tensor& x, Device device, const CopyOptions& options = {});
/// To a dtype. The gradient comes back in x's dtype; from a tracked tensor to integers nothing is recorded.
Tensor to(const Tensor& x, DType dtype);
Tensor contiguous(const Tensor& x, Layout layout = Layout::row_major);
/// Always a copy in memory of its own.
Tensor clone(const Tensor& x);

}  // namespace weft

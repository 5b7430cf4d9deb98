// Recorded where.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// a where the condition (bool) holds, else b; all three broadcast, a and b are promoted to one dtype.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
/// One side a number, in the other side's dtype.
Tensor where(const Tensor& condition, const Tensor& a, double b);
Tensor where(const Tensor& condition, double a, const Tensor& b);

}  // namespace weft

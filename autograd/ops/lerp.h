// Recorded linear interpolation.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// start + weight * (end - start), exactly `end` for weight 1. Operands broadcast and are
/// promoted; floating dtypes, 16-bit ones are computed in f32.
Tensor lerp(const Tensor& start, const Tensor& end, double weight);
Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight);

}  // namespace weft

// Recorded variances and standard deviations.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

struct VarianceOptions {
  std::vector<int64_t> axes = {};  ///< none: all
  bool keep = false;               ///< keep reduced axes with extent 1
  double correction = 1;           ///< what is taken off the count: 1 for a sample (Bessel), 0 for a population
};

/// sum((x - mean)^2) / max(0, n - correction) over the axes, the mean taken first; NaN where that divides 0 by 0.
/// Floating dtypes; 16-bit ones are computed in f32.
Tensor var(const Tensor& x, const VarianceOptions& options = {});
/// Its square root (PyTorch's std). Where the variance is 0 the gradient is 0.
Tensor stddev(const Tensor& x, const VarianceOptions& options = {});

}  // namespace weft

// Recorded vector norms.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

struct NormOptions {
  double p = 2;                    ///< 1, 2, or infinity
  std::vector<int64_t> axes = {};  ///< none: all
  bool keep = false;               ///< keep reduced axes with extent 1
};

/// p = 1: sum |x|;  2: sqrt(sum x^2);  infinity: max |x|. Floating dtypes; 16-bit ones are computed in f32. The
/// gradient is 0 where the norm is 0; of the largest |x|, equal ones share it. ShapeError for the largest of none.
Tensor norm(const Tensor& x, const NormOptions& options = {});

namespace autograd {
/// sqrt(x) whose first and second gradient are 0 where x is 0.
Tensor sqrt_or_zero(const Tensor& x);
}  // namespace autograd

}  // namespace weft

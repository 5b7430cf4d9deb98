#include "weft/autograd/ops/kth_largest.h"

#include "weft/tensor/ops/kth_largest.h"

namespace weft {

Tensor kth_largest(const Tensor& x, int64_t k) { return ops::kth_largest(x, k); }

}  // namespace weft

#include "weft/tensor/ops/dropout.h"

#include <cmath>

#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(DropoutArgs, dropout_kernel);

Tensor ops::dropout(const Tensor& x, double p, const RandomCall& call) {
  check_floating("dropout", x);
  WEFT_CHECK(Error, p >= 0 && p <= 1, "dropout: p is ", p, "; it is the probability of zero, in [0, 1]");
  const Tensor dense = dense_like(x);
  const Tensor y = empty_like(dense);
  if (y.numel() == 0) return y;
  const Strides strides[] = {dense.strides(), strides_of(dense.shape())};
  const auto threshold = static_cast<uint64_t>(std::llround(std::ldexp(p, 32)));
  const double scale = p < 1 ? 1 / (1 - p) : 0;
  profile_work(dropout_kernel, dense, y);
  dropout_kernel({x.dtype(), collapse(x.shape(), strides), call, threshold, scale, dense.raw(), y.raw()},
                 current_stream(x.device()));
  return y;
}

}  // namespace weft

#include "weft/tensor/ops/cumsum.h"

#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"

namespace weft {

WEFT_KERNEL(CumsumArgs, cumsum_kernel);

Tensor ops::cumsum(const Tensor& x, int64_t axis, bool reverse) {
  const int a = normalize_axis("cumsum", axis, x.rank());
  const Tensor dense = dense_like(x);
  Tensor y = empty_strided(dense.shape(), dense.strides(), is_floating(x.dtype()) ? x.dtype() : DType::i64, x.device());
  if (y.numel() == 0) return y;
  const AxisSplit split = split_at(dense, a);
  profile_work(cumsum_kernel, dense, y);
  cumsum_kernel({x.dtype(), split.outer, split.n, split.inner, reverse, dense.raw(), y.raw()},
                current_stream(x.device()));
  return y;
}

}  // namespace weft

#include "weft/tensor/ops/kth_largest.h"

#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(KthLargestArgs, kth_largest_kernel);

namespace ops {

Tensor kth_largest(const Tensor& x, int64_t k) {
  check_floating("kth_largest", x);
  WEFT_CHECK(ShapeError, x.rank() > 0, "kth_largest: a tensor of rank 0 has no rows");
  const int64_t n = x.shape().back();
  WEFT_CHECK(IndexError, k >= 1 && k <= n, "kth_largest: k ", k, " for rows of ", n, " values; it must be 1 … ", n);
  WEFT_CHECK(ShapeError, n < int64_t{1} << 31, "kth_largest: rows of ", n, " values; at most 2^31 - 1");
  Shape shape = x.shape();
  shape.erase(shape.rank() - 1);
  const Tensor y = empty(shape, {.dtype = x.dtype(), .device = x.device()});
  if (y.numel() == 0) return y;
  const Tensor dense = contiguous(x);
  profile_work(kth_largest_kernel, dense, y);
  kth_largest_kernel({x.dtype(), y.numel(), n, k, dense.raw(), y.raw()}, current_stream(x.device()));
  return y;
}

}  // namespace ops
}  // namespace weft

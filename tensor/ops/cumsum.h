// cumsum: running sums along an axis, from either end.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// x and y are dense [outer, n, inner] in one order of axes: y[o, i, j] = sum of x[o, k, j] over k <= i, over k >= i if
/// `reverse`. y is of x's dtype; i64 for integers and bool. No extent is 0. Floating sums are held in double, added in
/// an order that depends on the extents alone.
struct CumsumArgs {
  DType dtype;  ///< of x
  int64_t outer, n, inner;
  bool reverse;
  const void* x;
  void* y;
};
extern Kernel<CumsumArgs> cumsum_kernel;

namespace ops {
/// In the strides of a dense x. i64 for integers and bool. IndexError.
Tensor cumsum(const Tensor& x, int64_t axis, bool reverse = false);
}  // namespace ops
}  // namespace weft

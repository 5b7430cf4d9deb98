// softmax along one axis, its logarithm's siblings live in files of their own. y_i = exp(x_i - max x) / sum_j exp(x_j -
// max x)
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// Dense tensors seen as [outer, n, inner]: softmax runs along n.
struct SoftmaxArgs {
  DType dtype;
  int64_t outer, n, inner;
  const void* x;
  void* y;
};
/// dx = y * (dy - sum_n(dy * y)); all dense, same geometry.
struct SoftmaxBackwardArgs {
  DType dtype;
  int64_t outer, n, inner;
  const void* dy;
  const void* y;
  void* dx;
};
extern Kernel<SoftmaxArgs> softmax_kernel;
extern Kernel<SoftmaxBackwardArgs> softmax_backward_kernel;

namespace ops {
/// Floating dtypes; axis in [-rank, rank). A row of -inf gives NaN. Keeps the memory layout of a dense x.
Tensor softmax(const Tensor& x, int64_t axis);
/// dy: the gradient, y: the output of softmax, both of x's shape.
Tensor softmax_backward(const Tensor& dy, const Tensor& y, int64_t axis);
}  // namespace ops
}  // namespace weft

// The logarithm of softmax along one axis: y_i = (x_i - max x) - log sum_j exp(x_j - max x), never as log(softmax(x)).
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// Dense tensors seen as [outer, n, inner]: log_softmax runs along n.
struct LogSoftmaxArgs {
  DType dtype;
  int64_t outer, n, inner;
  const void* x;
  void* y;
};
/// dx = dy - exp(y) * sum_n(dy); all dense, same geometry.
struct LogSoftmaxBackwardArgs {
  DType dtype;
  int64_t outer, n, inner;
  const void* dy;
  const void* y;
  void* dx;
};
extern Kernel<LogSoftmaxArgs> log_softmax_kernel;
extern Kernel<LogSoftmaxBackwardArgs> log_softmax_backward_kernel;

namespace ops {
/// Floating dtypes; axis in [-rank, rank). Finite for finite x; a row of -inf gives NaN. Keeps the memory layout of a
/// dense x.
Tensor log_softmax(const Tensor& x, int64_t axis);
/// dy: the gradient, y: the output of log_softmax, both of x's shape.
Tensor log_softmax_backward(const Tensor& dy, const Tensor& y, int64_t axis);
}  // namespace ops
}  // namespace weft

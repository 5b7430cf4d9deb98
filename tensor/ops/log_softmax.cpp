#include "weft/tensor/ops/log_softmax.h"

#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(LogSoftmaxArgs, log_softmax_kernel);
WEFT_KERNEL(LogSoftmaxBackwardArgs, log_softmax_backward_kernel);

namespace ops {

Tensor log_softmax(const Tensor& x, int64_t axis) {
  check_floating("log_softmax", x);
  const int a = normalize_axis("log_softmax", axis, x.rank());
  const Tensor dense = dense_like(x);
  Tensor y = empty_like(dense);
  if (y.numel() == 0) return y;
  const AxisSplit split = split_at(dense, a);
  profile_work(log_softmax_kernel, dense, y);
  log_softmax_kernel({x.dtype(), split.outer, split.n, split.inner, dense.raw(), y.raw()}, current_stream(x.device()));
  return y;
}

Tensor log_softmax_backward(const Tensor& dy, const Tensor& y, int64_t axis) {
  check_same("log_softmax_backward", dy, y);
  const int a = normalize_axis("log_softmax_backward", axis, y.rank());
  const Tensor dense_y = dense_like(y);
  const Tensor dense_dy = with_strides_of(dy, dense_y);
  Tensor dx = empty_like(dense_y);
  if (dx.numel() == 0) return dx;
  const AxisSplit split = split_at(dense_y, a);
  profile_work(log_softmax_backward_kernel, dense_dy, dense_y, dx);
  log_softmax_backward_kernel({y.dtype(), split.outer, split.n, split.inner, dense_dy.raw(), dense_y.raw(), dx.raw()},
                              current_stream(y.device()));
  return dx;
}

}  // namespace ops
}  // namespace weft

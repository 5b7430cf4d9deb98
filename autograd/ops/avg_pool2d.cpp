// y = A x,   dx = AT dy: linear, so the gradient of either is the other
#include "weft/autograd/ops/avg_pool2d.h"

#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/geometry.h"

namespace weft {

Tensor avg_pool2d(const Tensor& x, const AvgPool2dOptions& options) {
  return autograd::average(x, ops::pool_windows(x, options), "avg_pool2d");
}

Tensor adaptive_avg_pool2d(const Tensor& x, Pair size) {
  const PoolWindows windows = ops::adaptive_windows(x, size);
  // One window is a reduction, which spreads over the device whatever the number of channels.
  if (size == Pair(1)) return global_avg_pool2d(x);
  return autograd::average(x, windows, "adaptive_avg_pool2d");
}

Tensor global_avg_pool2d(const Tensor& x) {
  ops::check_floating("global_avg_pool2d", x);
  ops::check_rank("global_avg_pool2d", x, 4, "[N, C, H, W]");
  WEFT_CHECK(ShapeError, x.shape()[2] > 0 && x.shape()[3] > 0, "global_avg_pool2d: an image of shape ", x.shape(),
             " has no pixels");
  return mean(x, {.axes = {2, 3}, .keep = true});  // [N, C, 1, 1]
}

Tensor autograd::average(const Tensor& x, const PoolWindows& windows, const char* name) {
  Tensor y = ops::avg_pool2d(x, windows);
  if (!tracked(x)) return y;
  return record(name, y, edge(x, [windows, name](const Tensor& dy) { return average_backward(dy, windows, name); }));
}

Tensor autograd::average_backward(const Tensor& dy, const PoolWindows& windows, const char* name) {
  Tensor dx = ops::avg_pool2d_backward(dy, windows);
  if (!tracked(dy)) return dx;
  return record(name, dx, edge(dy, [windows, name](const Tensor& g) { return average(g, windows, name); }));
}

}  // namespace weft

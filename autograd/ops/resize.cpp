// y = R x,   dx = RT dy: linear, so the gradient of either is the other
#include "weft/autograd/ops/resize.h"

#include "weft/autograd/record.h"

namespace weft {

Tensor resize(const Tensor& x, Pair size, const ResizeOptions& options) {
  using namespace autograd;
  Tensor y = ops::resize(x, size, options);
  if (!tracked(x)) return y;
  const Pair from{x.shape()[2], x.shape()[3]};
  return record("resize", y, edge(x, [from, options](const Tensor& dy) { return resize_backward(dy, from, options); }));
}

Tensor autograd::resize_backward(const Tensor& dy, Pair size, const ResizeOptions& options) {
  Tensor dx = ops::resize_backward(dy, size, options);
  if (!tracked(dy)) return dx;
  const Pair to{dy.shape()[2], dy.shape()[3]};
  return record("resize_backward", dx, edge(dy, [to, options](const Tensor& g) { return resize(g, to, options); }));
}

}  // namespace weft

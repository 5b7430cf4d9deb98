// y = softmax(x);   dx = y (dy - s),   s = sum(dy y) along the axis
// for the gradient g of dx:   ddy = y (g - sum(g y)),   dy_y = g (dy - s) - dy sum(g y)
#include "weft/autograd/ops/softmax.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/softmax.h"

namespace weft {

Tensor softmax(const Tensor& scores, int64_t axis) {
  const Tensor x = autograd::in_full(scores);
  Tensor y = ops::softmax(x, axis);
  if (!autograd::tracked(x)) return y;
  return autograd::record("softmax", y, autograd::edge(x, [axis](const Tensor& dy, const Tensor& own) {
                            return autograd::softmax_backward(dy, own, axis);
                          }));
}

Tensor autograd::softmax_backward(const Tensor& dy, const Tensor& y, int64_t axis) {
  Tensor dx = ops::softmax_backward(dy, y, axis);
  if (!tracked(dy, y)) return dx;
  const ReduceOptions along{.axes = {axis}, .keep = true};
  return record("softmax_backward", dx,
                edge(dy, [y = saved(y), axis](const Tensor& g) { return softmax_backward(g, y, axis); }),
                edge(y, [dy = saved(dy), y = saved(y), along](const Tensor& g) {
                  const Tensor& d = dy;
                  return g * (d - sum(d * y, along)) - d * sum(g * y, along);
                }));
}

}  // namespace weft

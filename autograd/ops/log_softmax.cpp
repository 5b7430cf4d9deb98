// y = log softmax(x);   dx = dy - p s,   p = exp(y),   s = sum(dy) along the axis
// for the gradient g of dx:   ddy = g - sum(g p),   dy_y = -g p s
#include "weft/autograd/ops/log_softmax.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/log_softmax.h"

namespace weft {

Tensor log_softmax(const Tensor& scores, int64_t axis) {
  const Tensor x = autograd::in_full(scores);
  Tensor y = ops::log_softmax(x, axis);
  if (!autograd::tracked(x)) return y;
  return autograd::record("log_softmax", y, autograd::edge(x, [axis](const Tensor& dy, const Tensor& own) {
                            return autograd::log_softmax_backward(dy, own, axis);
                          }));
}

Tensor autograd::log_softmax_backward(const Tensor& dy, const Tensor& y, int64_t axis) {
  Tensor dx = ops::log_softmax_backward(dy, y, axis);
  if (!tracked(dy, y)) return dx;
  const ReduceOptions along{.axes = {axis}, .keep = true};
  return record("log_softmax_backward", dx,
                edge(dy, [y = saved(y), along](const Tensor& g) { return g - sum(g * exp(y.get()), along); }),
                edge(y, [dy = saved(dy), y = saved(y), along](const Tensor& g) {
                  return -(g * exp(y.get()) * sum(dy.get(), along));
                }));
}

}  // namespace weft

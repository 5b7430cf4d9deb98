// y = sum(x);    dx = dy broadcast
// y = mean(x);   dx = dy / n broadcast
// y = max(x);    dx = dy where the maximum was, else 0
#include "weft/autograd/ops/reduce.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/view.h"
#include "weft/autograd/record.h"
#include "weft/autograd/reduced.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/ops/reduce.h"

namespace weft {

using namespace autograd;

Tensor sum(const Tensor& terms, const ReduceOptions& options) {
  const Tensor x = in_full(terms);
  Tensor y = ops::sum(x, options);
  if (!tracked(x)) return y;
  return record("sum", y,
                edge(x, [kept = kept_shape("sum", x.shape(), options.axes), shape = x.shape()](const Tensor& dy) {
                  return expand(reshape(dy, kept), shape);
                }));
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  Tensor y = ops::sum_to(x, shape);
  if (!tracked(x)) return y;
  return record("sum_to", y, edge(x, [wide = x.shape()](const Tensor& dy) { return expand(dy, wide); }));
}

Tensor mean(const Tensor& x, const ReduceOptions& options) {
  Tensor y = ops::mean(x, options);
  if (!tracked(x)) return y;
  // An empty mean has no elements to give a gradient to.
  const double count = y.numel() > 0 ? static_cast<double>(x.numel() / y.numel()) : 1;
  return record("mean", y,
                edge(x, [kept = kept_shape("mean", x.shape(), options.axes), shape = x.shape(),
                         count](const Tensor& dy) { return expand(reshape(dy / count, kept), shape); }));
}

Tensor max(const Tensor& x, const ReduceOptions& options) {
  Tensor index;
  Tensor y = ops::max(x, options, index);
  if (!tracked(x)) return y;
  return record("max", y, edge(x, [index = saved(index), shape = x.shape(), options](const Tensor& dy) {
                  return max_backward(dy, index, shape, options);
                }));
}

Tensor autograd::max_backward(const Tensor& dy, const Tensor& index, const Shape& shape, const ReduceOptions& options) {
  Tensor dx = ops::max_backward(dy, index, shape, options);
  if (!tracked(dy)) return dx;
  return record("max_backward", dx,
                edge(dy, [index = saved(index), options](const Tensor& g) { return max_gather(g, index, options); }));
}

Tensor autograd::max_gather(const Tensor& x, const Tensor& index, const ReduceOptions& options) {
  Tensor y = ops::max_gather(x, index, options);
  if (!tracked(x)) return y;
  return record("max_gather", y, edge(x, [index = saved(index), shape = x.shape(), options](const Tensor& dy) {
                  return max_backward(dy, index, shape, options);
                }));
}

Tensor argmax(const Tensor& x, int64_t axis, bool keep) { return ops::argmax(x, axis, keep); }

}  // namespace weft

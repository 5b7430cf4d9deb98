// A view moves no element, so its gradient is the inverse view of dy: reshape back, the inverse order of axes, the sum
// over expanded axes, or zeros around a slice.
#include "weft/autograd/ops/view.h"

#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/view.h"

namespace weft {

using namespace autograd;

namespace {

Tensor record_reshape(const char* name, const Tensor& x, const Tensor& y) {
  if (!tracked(x)) return y;
  return record(name, y, edge(x, [shape = x.shape()](const Tensor& dy) { return reshape(dy, shape); }));
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) { return record_reshape("reshape", x, ops::reshape(x, shape)); }

Tensor flatten(const Tensor& x, int64_t from, int64_t to) {
  return record_reshape("flatten", x, ops::flatten(x, from, to));
}

Tensor unsqueeze(const Tensor& x, int64_t axis) { return record_reshape("unsqueeze", x, ops::unsqueeze(x, axis)); }

Tensor squeeze(const Tensor& x, int64_t axis) { return record_reshape("squeeze", x, ops::squeeze(x, axis)); }

Tensor permute(const Tensor& x, const Dims& order) {
  Tensor y = ops::permute(x, order);
  if (!tracked(x)) return y;
  Dims inverse = order;
  for (int i = 0; i < order.rank(); ++i) inverse[normalize_axis("permute", order[i], x.rank())] = i;
  return record("permute", y, edge(x, [inverse](const Tensor& dy) { return permute(dy, inverse); }));
}

Tensor transpose(const Tensor& x, int64_t a, int64_t b) {
  Tensor y = ops::transpose(x, a, b);
  if (!tracked(x)) return y;
  return record("transpose", y, edge(x, [a, b](const Tensor& dy) { return transpose(dy, a, b); }));
}

Tensor expand(const Tensor& x, const Shape& shape) {
  Tensor y = ops::expand(x, shape);
  if (!tracked(x)) return y;
  return record("expand", y, edge(x, [narrow = x.shape()](const Tensor& dy) { return sum_to(dy, narrow); }));
}

Tensor slice(const Tensor& x, int64_t axis, int64_t start, int64_t stop, int64_t step) {
  Tensor y = ops::slice(x, axis, start, stop, step);
  if (!tracked(x)) return y;
  return record("slice", y, edge(x, [=, shape = x.shape()](const Tensor& dy) {
                  return slice_backward(dy, shape, axis, start, stop, step);
                }));
}

Tensor select(const Tensor& x, int64_t axis, int64_t i) {
  Tensor y = ops::select(x, axis, i);
  if (!tracked(x)) return y;
  const int dim = normalize_axis("select", axis, x.rank());
  const int64_t at = i < 0 ? i + x.shape()[dim] : i;
  return record("select", y, edge(x, [dim, at, shape = x.shape()](const Tensor& dy) {
                  return slice_backward(unsqueeze(dy, dim), shape, dim, at, at + 1, 1);
                }));
}

Tensor autograd::slice_backward(const Tensor& dy, const Shape& shape, int64_t axis, int64_t start, int64_t stop,
                                int64_t step) {
  Tensor dx = ops::slice_backward(dy, shape, axis, start, stop, step);
  if (!tracked(dy)) return dx;
  return record("slice_backward", dx, edge(dy, [=](const Tensor& g) { return slice(g, axis, start, stop, step); }));
}

}  // namespace weft

// linear and outer.
#include "weft/autograd/ops/linear.h"

#include <doctest/doctest.h>

#include "tests/support/op_table.h"

using namespace weft;
using namespace weft::test;

namespace {

Tensor apply(const Tensors& v) { return linear(v[0], v[1], v.size() > 2 ? v[2] : Tensor()); }

// Row by row of x seen as [rows, K].
Array naive(const Arrays& v) {
  const Array &x = v[0], &w = v[1];
  const int64_t k = w.size(1), o = w.size(0);
  Shape shape = x.shape;
  shape[shape.rank() - 1] = o;
  Array y(shape);
  for (int64_t i = 0; i < y.numel(); ++i) {
    for (int64_t j = 0; j < k; ++j) y[i] += x[i / o * k + j] * w(i % o, j);
    if (v.size() > 2) y[i] += v[2][i % o];
  }
  return y;
}

Array naive_outer(const Arrays& v) {
  Array y({v[0].size(0), v[1].size(0)});
  for (int64_t i = 0; i < y.numel(); ++i) y[i] = v[0][i / v[1].size(0)] * v[1][i % v[1].size(0)];
  return y;
}

}  // namespace

OP_TABLE(linear) {
  const RowOptions sums{.slack = 4, .gradient_slack = 4};
  table.op("linear")
      .row("rows", {input({5, 3}), input({4, 3}), input({4})}, apply, naive, sums)
      .row("no bias", {input({5, 3}), input({4, 3})}, apply, naive, sums)
      .row("rows of rows", {input({2, 3, 5}), input({4, 5}), input({4})}, apply, naive, sums)
      .row("one vector", {input({6}), input({2, 6}), input({2})}, apply, naive, sums)
      .row("whole numbers", {input({7, 9}).integers(), input({3, 9}).integers(), input({3}).integers()}, apply, naive,
           {.exact = true})
      .row("no rows", {input({0, 3}), input({4, 3}), input({4})}, apply, naive)
      .row("nothing to add up", {input({2, 0}), input({4, 0}), input({4})}, apply, naive)
      .error<ShapeError>("inner sizes",
                         "linear: input of shape [2, 3] for weights of shape [4, 5]; they must be [..., K] and [O, K]",
                         [] {
                           linear(ones({2, 3}), ones({4, 5}));
                         })
      .error<ShapeError>("bias", "linear: bias of shape [3] for weights of shape [4, 3]; it must be [4]",
                         [] {
                           linear(ones({2, 3}), ones({4, 3}), ones({3}));
                         })
      .error<DtypeError>("bias type", "linear: bias is float64, the weights are float32; …", [] {
        linear(ones({2, 3}), ones({4, 3}), ones({4}, {.dtype = DType::f64}));
      });
  const auto product = [](const Tensors& v) { return outer(v[0], v[1]); };
  table.op("outer")
      .row("vectors", {input({4}), input({7})}, product, naive_outer)
      .row("integers", {input({3}).integers(), input({4}).integers()}, product, naive_outer,
           {.dtypes = {DType::i64, DType::i32}, .exact = true, .no_gradient = "integers"})
      .row("nothing", {input({0}), input({3})}, product, naive_outer)
      .error<ShapeError>("rank", "outer: operands of shape [2, 2] and [3] must be vectors", [] {
        outer(ones({2, 2}), ones({3}));
      });
}

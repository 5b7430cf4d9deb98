// Running sums along every axis, from both ends, short and long.
#include "weft/autograd/ops/cumsum.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/support/op_table.h"
#include "weft/tensor/cpu/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

OpFunction along(int64_t axis, bool reverse = false) {
  return [=](const Tensors& v) { return cumsum(v[0], axis, reverse); };
}

Reference naive(int axis, bool reverse = false) {
  return [=](const Arrays& v) {
    Array y = v[0];
    const int64_t n = y.size(axis);
    int64_t inner = 1;
    for (int i = axis + 1; i < y.shape.rank(); ++i) inner *= y.shape[i];
    for (int64_t at = 0; at < y.numel(); ++at) {
      const int64_t flat = reverse ? y.numel() - 1 - at : at, i = flat / inner % n;
      if (reverse ? i + 1 < n : i > 0) y[flat] += y[flat + (reverse ? inner : -inner)];
    }
    return y;
  };
}

}  // namespace

OP_TABLE(cumsum) {
  const RowOptions longer{.slack = 8, .gradient_slack = 8};
  table.op("cumsum")
      .row("rows", {input({3, 5})}, along(1), naive(1), longer)
      .row("rows from the end", {input({3, 37})}, along(-1, true), naive(1, true), longer)
      .row("columns", {input({5, 3})}, along(0), naive(0), longer)
      .row("columns from the end", {input({7, 20})}, along(0, true), naive(0, true), longer)
      .row("the middle axis", {input({2, 6, 3})}, along(1), naive(1), longer)
      .row("channels of an image", {input({2, 5, 3, 4})}, along(1, true), naive(1, true), longer)
      .row("more columns than a tile", {input({3, 150})}, along(0), naive(0), longer)
      .row("one element", {input({4, 1})}, along(1), naive(1))
      .row("no elements", {input({3, 0})}, along(1), naive(1))
      .row("no rows", {input({0, 3})}, along(1, true), naive(1, true))
      .row("whole numbers, a row of several stretches", {input({2, 2050}).integers(-2, 2)}, along(1), naive(1),
           {.dtypes = {DType::f64, DType::f32, DType::f16},
            .exact = true,
            .no_second_gradient = "as in the other rows, and slow"})
      .row("integers", {input({6, 40}).integers()}, along(1, true), naive(1, true),
           {.dtypes = {DType::i64, DType::i32, DType::u8, DType::boolean},
            .exact = true,
            .result = DType::i64,
            .no_gradient = "integers have none"})
      .error<IndexError>("axis", "cumsum: axis 2 is out of range …", [] {
        cumsum(ones({2, 2}), 2);
      });
}

TEST_CASE("cumsum: totals do not lose small terms, and pass on NaN and infinities") {
  const int64_t n = 1 << 20;
  const Tensor y = cumsum(full({n}, 0.1f), 0);
  CHECK(y.slice(0, n - 1, n).item<float>() == doctest::Approx(0.1f * double(n)).epsilon(1e-7));
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> v = cumsum(tensor({1.0f, inf, 2.0f, -inf, 3.0f}), 0).to_vector<float>();
  CHECK(v[0] == 1);
  CHECK(v[2] == inf);
  CHECK(std::isnan(v[4]));
}

TEST_CASE("cumsum: bits depend neither on threads nor on the layout") {
  const Shape shape = {6, 50, 40, 9};
  const Tensor x = tensor(make_values(input(shape).range(-1e3, 1e3), 9).values, shape).to(DType::f32);
  for (int axis = 0; axis < 4; ++axis) {
    const cpu::TeamGuard one(1);
    const std::vector<float> alone = cumsum(x, axis).to_vector<float>();
    CHECK(cumsum(x.contiguous(Layout::channels_last), axis).to_vector<float>() == alone);
    const cpu::TeamGuard several(3);
    CHECK(cumsum(x, axis).to_vector<float>() == alone);
  }
}

// Selection of the k-th largest value.
#include "weft/autograd/ops/kth_largest.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/op_table.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::test;

namespace {

OpFunction at(int64_t k) {
  return [k](const Tensors& v) { return kth_largest(v[0], k); };
}

Reference naive(int64_t k) {
  return [k](const Arrays& v) {
    const int64_t n = v[0].size(-1);
    Shape shape = v[0].shape;
    shape.erase(shape.rank() - 1);
    Array y(shape);
    for (int64_t row = 0; row < y.numel(); ++row) {
      std::vector<double> values(v[0].values.begin() + row * n, v[0].values.begin() + (row + 1) * n);
      std::sort(values.begin(), values.end(), std::greater<>());
      y[row] = values[static_cast<size_t>(k - 1)];
    }
    return y;
  };
}

RowOptions constant() { return {.exact = true, .no_gradient = "a threshold has none"}; }

}  // namespace

OP_TABLE(kth_largest) {
  table.op("kth_largest")
      .row("the largest", {input({4, 9}).untracked()}, at(1), naive(1), constant())
      .row("the smallest", {input({4, 9}).untracked()}, at(9), naive(9), constant())
      .row("in the middle", {input({2, 3, 20}).untracked()}, at(7), naive(7), constant())
      .row("ties", {input({3, 30}).integers(-2, 2).untracked()}, at(11), naive(11), constant())
      .row("one long row", {input({1, 1000}).untracked()}, at(256), naive(256), constant())
      .row("a vector", {input({8}).untracked()}, at(3), naive(3), constant())
      .row("no rows", {input({0, 5}).untracked()}, at(2), naive(2), constant())
      .none(Cell::gradient, "a threshold has none")
      .none(Cell::second_gradient, "a threshold has none")
      .error<IndexError>("k", "kth_largest: k 6 for rows of 5 values; it must be 1 … 5",
                         [] {
                           kth_largest(ones({2, 5}), 6);
                         })
      .error<DtypeError>("integers", "kth_largest: needs a floating dtype, got int32…",
                         [] {
                           kth_largest(ones({2, 5}, {.dtype = DType::i32}), 1);
                         })
      .error<ShapeError>("rank", "kth_largest: a tensor of rank 0 has no rows", [] { kth_largest(ones({}), 1); });
}

TEST_CASE("kth_largest: infinities, zeros and NaN have their places") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = tensor({-inf, 0.0f, -1e-40f, 3e38f, inf, -nan, -3e38f, 1e-40f});
  const std::vector<float> order{nan, inf, 3e38f, 1e-40f, 0.0f, -1e-40f, -3e38f, -inf};
  CHECK(std::isnan(kth_largest(x, 1).item<float>()));
  for (size_t k = 1; k < order.size(); ++k)
    CHECK(kth_largest(x, static_cast<int64_t>(k) + 1).item<float>() == order[k]);
}

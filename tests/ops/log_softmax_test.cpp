// log_softmax along every axis, as rows in memory and across them, short and long.
#include "weft/autograd/ops/log_softmax.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/support/op_table.h"

using namespace weft;
using namespace weft::test;

namespace {

OpFunction along(int64_t axis) {
  return [axis](const Tensors& v) { return log_softmax(v[0], axis); };
}

Reference naive(int axis) {
  return [axis](const Arrays& v) {
    const Array top = fold(v[0], {axis}, true, -std::numeric_limits<double>::infinity(),
                           [](double a, double b) { return std::max(a, b); });
    const Array shifted = zip(v[0], top, std::minus<>());
    const Array sum = fold(map(shifted, [](double x) { return std::exp(x); }), {axis}, true, 0, std::plus<>());
    return zip(shifted, sum, [](double x, double s) { return x - std::log(s); });
  };
}

}  // namespace

OP_TABLE(log_softmax) {
  table.op("log_softmax")
      .row("rows", {input({3, 5})}, along(1), naive(1))
      .row("rows of a vector and a tail", {input({7, 21})}, along(-1), naive(1))
      .row("long rows", {input({3, 150})}, along(1), naive(1))
      .row("a row of more than one block", {input({1, 2051})}, along(1), naive(1),
           {.no_second_gradient = "as in the other rows, and slow"})
      .row("columns", {input({5, 3})}, along(0), naive(0))
      .row("the middle axis", {input({2, 4, 3})}, along(1), naive(1))
      .row("many columns", {input({2, 6, 37})}, along(1), naive(1))
      .row("more columns than a tile", {input({3, 150})}, along(0), naive(0))
      .row("many classes of many columns", {input({40, 33})}, along(0), naive(0))
      .row("channels of an image", {input({2, 21, 3, 4})}, along(1), naive(1))
      .row("a vector", {input({9})}, along(0), naive(0))
      .row("one class", {input({4, 1})}, along(1), naive(1))
      .row("large values", {input({4, 6}).range(-300, 300)}, along(1), naive(1),
           {.dtypes = {DType::f64, DType::f32}, .no_gradient = "saturated: differences say nothing"})
      .row("no rows", {input({0, 5})}, along(1), naive(1))
      .row("no classes", {input({3, 0})}, along(1), naive(1))
      .error<IndexError>("axis", "log_softmax: axis 2 …",
                         [] {
                           log_softmax(ones({2, 2}), 2);
                         })
      .error<DtypeError>("integers", "log_softmax: needs a floating dtype, got int32…", [] {
        log_softmax(ones({2, 2}, {.dtype = DType::i32}), 1);
      });
}

TEST_CASE("log_softmax: stays finite where the logarithm of softmax does not, and NaN stays in its row") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const int64_t columns : {3, 20, 2051}) {
    std::vector<float> x(static_cast<size_t>(4 * columns), 0.0f);
    for (int64_t c = 0; c < columns; ++c) x[static_cast<size_t>(c)] = -inf;  // nothing to normalise by
    x[static_cast<size_t>(columns)] = -inf;                                  // a class that is ruled out
    x[static_cast<size_t>(2 * columns + 1)] = nan;
    x[static_cast<size_t>(3 * columns + 2)] = 1000;
    const std::vector<float> y = log_softmax(tensor(x, {4, columns})).to_vector<float>();
    const auto at = [&](int64_t row, int64_t c) { return y[static_cast<size_t>(row * columns + c)]; };
    for (int64_t c = 0; c < columns; ++c) {
      CHECK(std::isnan(at(0, c)));
      if (c == 0)
        CHECK(at(1, c) == -inf);
      else
        CHECK(at(1, c) == doctest::Approx(-std::log(static_cast<double>(columns - 1))));
      CHECK(std::isnan(at(2, c)));
      CHECK(at(3, c) == (c == 2 ? 0.0f : -1000.0f));
    }
  }
}

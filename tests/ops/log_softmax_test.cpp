// log_softmax along every axis, as rows in memory and across them, short and long.
#include "weft/autograd/ops/log_softmax.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/ops/softmax_cases.h"

using namespace weft;
using namespace weft::test;

namespace {

Array naive(const Array& x, int axis) {
  const Array shifted = below_top(x, axis);
  const Array sum = fold(map(shifted, [](double v) { return std::exp(v); }), {axis}, true, 0, std::plus<>());
  return zip(shifted, sum, [](double v, double s) { return v - std::log(s); });
}

}  // namespace

OP_TABLE(log_softmax) {
  add_softmax_rows(
      table.op("log_softmax"), [](const Tensor& x, int64_t axis) { return log_softmax(x, axis); }, naive);
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

// softmax along every axis, as rows in memory and across them, short and long.
#include "weft/autograd/ops/softmax.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/ops/softmax_cases.h"

using namespace weft;
using namespace weft::test;

namespace {

Array naive(const Array& x, int axis) {
  const Array e = map(below_top(x, axis), [](double v) { return std::exp(v); });
  return zip(e, fold(e, {axis}, true, 0, std::plus<>()), std::divides<>());
}

}  // namespace

OP_TABLE(softmax) {
  add_softmax_rows(
      table.op("softmax"), [](const Tensor& x, int64_t axis) { return softmax(x, axis); }, naive);
}

TEST_CASE("softmax: infinities and NaN stay in their rows") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const int64_t columns : {3, 20}) {
    std::vector<float> x(static_cast<size_t>(3 * columns), 0.0f);
    for (int64_t c = 0; c < columns; ++c) x[static_cast<size_t>(c)] = -inf;  // nothing to normalise by
    x[static_cast<size_t>(columns)] = -inf;                                  // a class that is ruled out
    x[static_cast<size_t>(2 * columns + 1)] = nan;
    const std::vector<float> y = softmax(tensor(x, {3, columns})).to_vector<float>();
    for (int64_t c = 0; c < columns; ++c) {
      CHECK(std::isnan(y[static_cast<size_t>(c)]));
      CHECK(y[static_cast<size_t>(columns + c)] ==
            doctest::Approx(c == 0 ? 0 : 1.0 / static_cast<double>(columns - 1)));
      CHECK(std::isnan(y[static_cast<size_t>(2 * columns + c)]));
    }
  }
}

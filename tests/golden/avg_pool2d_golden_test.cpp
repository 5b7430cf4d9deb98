// Against PyTorch: cases/avg_pool2d.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/avg_pool2d.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: average pooling") {
  const auto pool = [](AvgPool2dOptions options) {
    return unary_case([options](const Tensor& x) { return avg_pool2d(x, options); });
  };
  check_file("avg_pool2d", {{"two", pool({.kernel = 2})},
                            {"padded", pool({.kernel = 3, .stride = 2, .padding = 1})},
                            {"inside", pool({.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false})},
                            {"ceil", pool({.kernel = 2, .stride = 2, .ceil_mode = true, .count_include_pad = false})},
                            {"ceil_counted", pool({.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true})},
                            {"uneven", pool({.kernel = {2, 3}, .stride = {1, 2}, .padding = {1, 0}})}});
}

TEST_CASE("golden: adaptive average pooling") {
  Functions functions;
  for (const int64_t size : {1, 2, 3, 6})
    functions["to_" + std::to_string(size)] =
        unary_case([size](const Tensor& x) { return adaptive_avg_pool2d(x, size); });
  check_file("adaptive_avg_pool2d", functions);
}

// Against PyTorch: cases/resize_nearest.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/resize.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: nearest resize, and resize by a scale") {
  const ResizeOptions nearest{.mode = ResizeMode::nearest};
  const auto to = [&](Pair size) {
    return unary_case([size, nearest](const Tensor& x) { return resize(x, size, nearest); });
  };
  check_file("resize_nearest",
             {{"up", to({9, 11})},
              {"down", to({3, 2})},
              {"one", to(1)},
              {"mixed", to({10, 3})},
              {"by", unary_case([nearest](const Tensor& x) {
                 return resize_by(x, {1.7, 0.6}, nearest);
               })},
              {"by_bilinear", unary_case([](const Tensor& x) {
                 return resize_by(x, {1.7, 0.6});
               })},
              {"by_corners", unary_case([](const Tensor& x) { return resize_by(x, 2.5, {.align_corners = true}); })}});
}

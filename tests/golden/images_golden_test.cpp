// Against PyTorch: cases/images.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/max_pool2d.h"
#include "weft/autograd/ops/resize.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: max pooling") {
  auto pool = [](MaxPool2dOptions options) {
    return unary_case([options](const Tensor& x) { return max_pool2d(x, options); });
  };
  check_file("max_pool2d", {{"two", pool({.kernel = 2})},
                            {"stem", pool({.kernel = 3, .stride = 2, .padding = 1})},
                            {"ceil", pool({.kernel = 3, .stride = 2, .ceil_mode = true})},
                            {"dilated", pool({.kernel = 2, .stride = 1, .dilation = 3})},
                            {"uneven", pool({.kernel = {2, 3}, .stride = {1, 2}, .padding = {1, 0}})}});
}

TEST_CASE("golden: bilinear resize") {
  Functions functions;
  const std::map<std::string, Pair> sizes{
      {"up", {9, 11}}, {"down", {3, 2}}, {"same", {5, 6}}, {"one", {1, 1}}, {"mixed", {10, 3}}};
  for (const auto& [name, size] : sizes)
    for (const bool corners : {false, true})
      functions[name + (corners ? "_corners" : "")] =
          unary_case([size = size, corners](const Tensor& x) { return resize(x, size, {.align_corners = corners}); });
  functions["from_one"] = unary_case([](const Tensor& x) { return resize(x, {3, 4}, {.align_corners = true}); });
  check_file("resize", functions);
}

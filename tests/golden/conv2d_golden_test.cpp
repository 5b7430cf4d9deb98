// Against PyTorch: cases/conv2d.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/conv2d.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: convolution") {
  auto conv = [](Conv2dOptions options) {
    return [options](const Tensors& x, const Golden&) {
      Conv2dOptions o = options;
      if (x.size() > 2) o.bias = x[2];
      return conv2d(x[0], x[1], o);
    };
  };
  check_file("conv2d", {{"plain", conv({})},
                        {"one_by_one", conv({})},
                        {"padded", conv({.padding = 1})},
                        {"stride", conv({.stride = 2, .padding = 1})},
                        {"seven", conv({.stride = 2, .padding = 3})},
                        {"dilation", conv({.padding = 2, .dilation = 2})},
                        {"groups", conv({.padding = 1, .groups = 2})},
                        {"depthwise", conv({.stride = 2, .padding = 1, .groups = 4})},
                        {"uneven", conv({.stride = {2, 1}, .padding = {0, 1}, .dilation = {1, 3}})},
                        {"asymmetric", conv({.stride = 2, .padding = {0, 1, 1, 2}})}});
}

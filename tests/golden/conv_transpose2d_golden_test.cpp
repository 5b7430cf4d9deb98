// Against PyTorch: cases/conv_transpose2d.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/conv1d.h"
#include "weft/autograd/ops/conv_transpose2d.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: transposed convolution") {
  const auto with = [](const ConvTranspose2dOptions& options) {
    return [options](const Tensors& x, const Golden&) {
      ConvTranspose2dOptions o = options;
      o.bias = x[2];
      return conv_transpose2d(x[0], x[1], o);
    };
  };
  check_file("conv_transpose2d", {{"plain", with({})},
                                  {"twice", with({.stride = 2, .padding = 1, .output_padding = 1})},
                                  {"dilated", with({.padding = 1, .dilation = 2})},
                                  {"groups", with({.stride = {2, 1}, .groups = 2})}});
}

TEST_CASE("golden: convolution of lines") {
  check_file("conv1d", {{"groups",
                         [](const Tensors& x, const Golden&) {
                           return conv1d(x[0], x[1], {.stride = 2, .padding = 1, .groups = 2, .bias = x[2]});
                         }},
                        {"dilated",
                         binary_case([](const Tensor& x, const Tensor& w) { return conv1d(x, w, {.dilation = 3}); })}});
}

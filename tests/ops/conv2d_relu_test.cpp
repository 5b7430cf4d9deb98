// Convolutions with a ReLU beside ones with a ReLU after them; the rows of the op table are in conv2d_test.cpp.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/op_table.h"
#include "weft/autograd/autocast.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/conv2d.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/unary.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::test;

namespace {

struct Case {
  Shape x, w;
  Conv2dGeometry geometry;
};

}  // namespace

TEST_CASE("conv2d: a ReLU keeps NaN and infinity, and makes 0 of all that is negative") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const DType dtype : floating_dtypes)
    for (const int64_t groups : {1, 8}) {
      const TensorOptions typed{.dtype = dtype};
      const Tensor x = ones({2, 8, 5, 5}, typed), w = zeros({8, 8 / groups, 3, 3}, typed);
      const Tensor bias = tensor<double>({nan, inf, -inf, -1, 1, 0, -0.0, -nan}).to(dtype);
      const std::vector<double> y = ops::conv2d(x, w, bias, {.padding = 1, .groups = groups}, true).to_vector<double>();
      std::vector<double> got;
      for (size_t channel = 0; channel < 8; ++channel) got.push_back(y[25 * channel + 12]);
      INFO(name_of(dtype), ", groups ", groups);
      CHECK(std::isnan(got[0]));
      CHECK(std::isnan(got[7]));
      CHECK(std::vector(got.begin() + 1, got.begin() + 7) == std::vector<double>{inf, 0, 0, 1, 0, 0});
    }
}

TEST_CASE("conv2d: with a ReLU in it, it is bit for bit a convolution and a ReLU after it") {
  const Case cases[] = {{{2, 16, 14, 13}, {24, 16, 3, 3}, {.padding = 1}},
                        {{3, 40, 7, 7}, {12, 40, 1, 1}, {}},
                        {{2, 64, 10, 9}, {64, 1, 3, 3}, {.padding = 1, .groups = 64}},
                        {{2, 15, 8, 8}, {9, 5, 3, 3}, {.padding = 1, .groups = 3}},
                        {{1, 8, 40, 41}, {8, 8, 3, 3}, {.stride = 2, .padding = {3, 0, 5, 1}}}};
  for (const Case& c : cases)
    for (const DType dtype : floating_dtypes) {
      INFO(to_string(c.x), " by ", to_string(c.w), ", groups ", c.geometry.groups, ", ", name_of(dtype));
      const Tensor x = randn(c.x).to(dtype), w = randn(c.w).to(dtype), bias = randn({c.w[0]}).to(dtype);
      const Tensor apart = ops::relu(ops::conv2d(x, w, bias, c.geometry));
      CHECK(difference(to_array(ops::conv2d(x, w, bias, c.geometry, true)), to_array(apart), {}) == "");
    }
}

namespace {

struct Gradients {
  Tensor y, x, w, bias;
};

Gradients gradients(bool fused) {
  const GeneratorGuard seeded(Generator(3));
  Tensor x = randn({2, 3, 6, 5}).attach_grad(), w = randn({4, 3, 3, 3}).attach_grad(), bias = randn({4}).attach_grad();
  const Tensor dy = randn({2, 4, 6, 5});
  Tensor y;
  {
    const autograd::Record record;
    const autograd::Autocast cast(DType::bf16);
    y = conv2d(x, w, {.padding = 1, .bias = bias, .relu = fused});
    if (!fused) y = relu(y);
  }
  CHECK(y.dtype() == DType::bf16);
  y.backward({.head_grads = {dy.to(DType::bf16)}});
  return {y, x.grad(), w.grad(), bias.grad()};
}

}  // namespace

TEST_CASE("conv2d: a ReLU in it under autocast gives the gradients of one after it, in the parameters' types") {
  const Gradients one = gradients(true), two = gradients(false);
  CHECK(one.w.dtype() == DType::f32);
  CHECK(difference(to_array(one.y), to_array(two.y), {}) == "");
  CHECK(difference(to_array(one.x), to_array(two.x), {}) == "");
  CHECK(difference(to_array(one.w), to_array(two.w), {}) == "");
  CHECK(difference(to_array(one.bias), to_array(two.bias), {}) == "");
}

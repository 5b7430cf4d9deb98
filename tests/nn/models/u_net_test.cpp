// U-Net: sizes, names, and inputs of odd sizes.
#include "weft/nn/models/u_net.h"

#include <doctest/doctest.h>

#include "weft/autograd/backward.h"
#include "weft/autograd/ops/reduce.h"

using namespace weft;

TEST_CASE("u-net: parameter counts and names") {
  const models::UNet net;
  CHECK(net.parameter_count() == 122330);
  const std::vector<nn::Parameter> parameters = net.parameters();
  CHECK(parameters.front().name() == "down.0.conv1.weight");
  CHECK(parameters.front().shape() == Shape{8, 1, 3, 3});
  CHECK(net.parameter("up.0.conv1.weight").shape() == Shape{32, 96, 3, 3});
  CHECK(parameters.back().name() == "head.bias");
  // One level: 3 -> 5 -> 5, two pairs of batch norm, a head of 7.
  CHECK(models::UNet({.in_channels = 3, .classes = 7, .widths = {5}}).parameter_count() ==
        5 * 27 + 10 + 5 * 45 + 10 + 7 * 5 + 7);
  CHECK_THROWS_WITH_AS(models::UNet({.widths = {}}), doctest::Contains("UNet: no widths"), ShapeError);
}

TEST_CASE("u-net: logits of the input's size, odd ones too, and a gradient for every parameter") {
  const models::UNet net({.in_channels = 2, .classes = 3, .widths = {2, 4, 6}});
  for (const Shape& shape : {Shape{2, 2, 8, 12}, Shape{1, 2, 13, 9}})
    CHECK(net(zeros(shape)).shape() == Shape{shape[0], 3, shape[2], shape[3]});
  {
    const autograd::Record record;
    sum(net(ones({2, 2, 9, 8}))).backward();
  }
  for (const nn::Parameter& p : net.parameters()) CHECK(p.grad_at(0).defined());
}

// Layers that wrap one operation: names and shapes of parameters, options handed through, placement, printing. The
// operations' own values are tested in tests/ops and tests/golden.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/array.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/conv1d.h"
#include "weft/autograd/ops/conv2d.h"
#include "weft/autograd/ops/unary.h"
#include "weft/nn/conv1d.h"
#include "weft/nn/conv2d.h"
#include "weft/nn/conv_transpose2d.h"
#include "weft/nn/embedding.h"
#include "weft/nn/layer_norm.h"
#include "weft/nn/pool.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"

using namespace weft;

namespace {

Tensor values(const Shape& shape, uint64_t seed = 1) {
  return test::make_tensor(test::make_values(test::input(shape), seed), DType::f64, current_device());
}

// The module's parameters in f64, so that sums written here agree.
template <class M>
void widen(M& module) {
  const auto wide = [](nn::Parameter& p, uint64_t seed) {
    if (p.defined()) p = nn::Parameter(values(p.shape(), seed));
  };
  wide(module.weight, 2);
  if constexpr (requires { module.bias; }) wide(module.bias, 3);
}

// What it makes of x, on the device of x.
template <class M>
Tensor on_device_of(const Tensor& x, const M& module) {
  module.to(x.device());
  return module(x);
}

std::vector<std::string> names(const nn::Module& module) {
  std::vector<std::string> list;
  for (const nn::Parameter& p : module.parameters()) list.push_back(p.name());
  return list;
}

}  // namespace

TEST_SUITE("nn/layers") {
  TEST_CASE("Conv1d by its formula") {
    nn::Conv1d conv(4, 6, {.kernel = 3, .stride = 2, .padding = 2, .dilation = 2, .groups = 2});
    CHECK(conv.weight.shape() == Shape{6, 2, 3});
    CHECK(names(conv) == std::vector<std::string>{"weight", "bias"});
    CHECK(to_string(conv).find("Conv1d(4 -> 6, kernel 3, stride 2, dilation 2, groups 2)") == 0);
    for (const float w : conv.weight.at(0).to_vector<float>()) CHECK(std::fabs(w) <= 1 / std::sqrt(6.f));
    widen(conv);
    const Tensor x = values({2, 4, 9});
    const Tensor y = conv(x);
    CHECK(y.shape() == Shape{2, 6, 5});
    const auto xs = x.to_vector<double>(), ws = conv.weight.at(0).to_vector<double>(),
               bs = conv.bias.at(0).to_vector<double>(), ys = y.to_vector<double>();
    for (int n = 0; n < 2; ++n)
      for (int o = 0; o < 6; ++o)
        for (int l = 0; l < 5; ++l) {
          double sum = bs[o];
          for (int c = 0; c < 2; ++c)
            for (int k = 0; k < 3; ++k)
              if (const int i = 2 * l - 2 + 2 * k; i >= 0 && i < 9)
                sum += ws[(o * 2 + c) * 3 + k] * xs[(n * 4 + o / 3 * 2 + c) * 9 + i];
          CHECK(ys[(n * 6 + o) * 5 + l] == doctest::Approx(sum).epsilon(1e-12));
        }
    CHECK_THROWS_AS(nn::Conv1d(3, 4, {.groups = 2}), ShapeError);
    CHECK_FALSE(nn::Conv1d(3, 4, {.bias = false}).bias.defined());
  }

  TEST_CASE("Conv1d, Conv2d: a ReLU in the same pass") {
    const nn::Conv2d image(3, 4, {.padding = 1, .relu = true});
    const nn::Conv1d line(3, 4, {.bias = false, .relu = true});
    CHECK(to_string(image).find("Conv2d(3 -> 4, kernel 3x3, relu)") == 0);
    CHECK(to_string(line).find("Conv1d(3 -> 4, kernel 3, no bias, relu)") == 0);
    image.to(current_device()), line.to(current_device());
    const Tensor x = randn({2, 3, 6, 6}), y = conv2d(x, image.weight.at(0), {.padding = 1, .bias = image.bias.at(0)});
    CHECK(image(x).to_vector<float>() == relu(y).to_vector<float>());
    CHECK(image(x).to_vector<float>() != y.to_vector<float>());
    const Tensor l = randn({2, 3, 9});
    CHECK(line(l).to_vector<float>() == relu(conv1d(l, line.weight.at(0))).to_vector<float>());
  }

  TEST_CASE("ConvTranspose2d doubles an image, by its formula") {
    nn::ConvTranspose2d up(4, 2, {.kernel = 3, .stride = 2, .padding = 1, .output_padding = 1});
    CHECK(up.weight.shape() == Shape{4, 2, 3, 3});
    CHECK(to_string(up).find("ConvTranspose2d(4 -> 2, kernel 3x3, stride 2x2)") == 0);
    widen(up);
    const Tensor x = values({1, 4, 3, 2});
    const Tensor y = up(x);
    CHECK(y.shape() == Shape{1, 2, 6, 4});
    const auto xs = x.to_vector<double>(), ws = up.weight.at(0).to_vector<double>(),
               bs = up.bias.at(0).to_vector<double>();
    std::vector<double> expected(2 * 6 * 4);
    for (int o = 0; o < 2; ++o)
      for (int k = 0; k < 24; ++k) expected[o * 24 + k] = bs[o];
    for (int c = 0; c < 4; ++c)
      for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 2; ++j)
          for (int o = 0; o < 2; ++o)
            for (int p = 0; p < 3; ++p)
              for (int q = 0; q < 3; ++q) {
                const int r = 2 * i + p - 1, s = 2 * j + q - 1;
                if (r >= 0 && r < 6 && s >= 0 && s < 4)
                  expected[o * 24 + r * 4 + s] += xs[c * 6 + i * 2 + j] * ws[((c * 2 + o) * 3 + p) * 3 + q];
              }
    const auto found = y.to_vector<double>();
    for (size_t i = 0; i < expected.size(); ++i) CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-12));
    CHECK_THROWS_AS(nn::ConvTranspose2d(3, 4, {.groups = 2}), ShapeError);
  }

  TEST_CASE("Embedding: rows by number; the padding row is zero and is not trained") {
    nn::Embedding table(5, 3, {.padding = 2});
    CHECK(to_string(table).find("Embedding(5 of 3)") == 0);
    table.to(current_device());
    const auto rows = table.weight.at(0).to_vector<float>();
    Tensor y;
    {
      const autograd::Record record;
      y = table(tensor<int64_t>({4, 2, 4, 0}));
    }
    CHECK(y.shape() == Shape{4, 3});
    CHECK(y.to_vector<float>()[0] == rows[12]);
    CHECK(y.to_vector<float>()[11] == rows[2]);
    for (int k = 3; k < 6; ++k) CHECK(y.to_vector<float>()[static_cast<size_t>(k)] == 0);
    y.backward({.head_grads = {ones({4, 3})}});
    CHECK(table.weight.grad_at(0).to_vector<float>() ==
          std::vector<float>{1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2});
    CHECK_THROWS_AS(table(tensor<int64_t>({5})).to_vector<float>(), IndexError);
    CHECK_THROWS_AS(nn::Embedding(5, 3, {.padding = 5}), IndexError);
    CHECK_THROWS_AS(nn::Embedding(0, 3), ShapeError);
  }

  TEST_CASE("LayerNorm, GroupNorm, InstanceNorm: groups of mean 0 and variance 1, then scaled") {
    const Tensor x = values({2, 6, 4}).to(DType::f32);
    const auto check_groups = [](const Tensor& y, int64_t size, double eps_bound) {
      const auto v = y.to_vector<double>();
      for (size_t start = 0; start < v.size(); start += static_cast<size_t>(size)) {
        double sum = 0, squares = 0;
        for (size_t i = start; i < start + static_cast<size_t>(size); ++i) sum += v[i], squares += v[i] * v[i];
        CHECK(std::fabs(sum) < 1e-4);
        CHECK(std::fabs(squares / static_cast<double>(size) - 1) < eps_bound);
      }
    };
    check_groups(nn::LayerNorm({4}, {.affine = false})(x), 4, 1e-3);
    check_groups(on_device_of(x, nn::LayerNorm({6, 4})), 24, 1e-3);
    check_groups(on_device_of(x, nn::GroupNorm(3, 6)), 8, 1e-3);
    check_groups(nn::InstanceNorm2d(6)(x), 4, 1e-3);
    nn::GroupNorm group(2, 6);
    CHECK(names(group) == std::vector<std::string>{"weight", "bias"});
    CHECK(group.parameter_count() == 12);
    CHECK(to_string(group).find("GroupNorm(6 in 2 groups)") == 0);
    const Tensor plain = on_device_of(x, group);
    group.weight.set(full({6}, 2));
    group.bias.set(arange(0, 6));
    const auto before = plain.to_vector<double>(), after = group(x).to_vector<double>();
    for (size_t i = 0; i < before.size(); ++i)
      CHECK(after[i] == doctest::Approx(2 * before[i] + static_cast<double>(i / 4 % 6)));
    group.to({"cpu:1"});
    CHECK(group(x.to("cpu:1")).device() == Device("cpu:1"));
    CHECK(nn::InstanceNorm2d(6).parameters().empty());
    CHECK(nn::InstanceNorm2d(6, {.affine = true}).parameters().size() == 2);
    CHECK(nn::LayerNorm({6, 4}).weight.shape() == Shape{6, 4});
    CHECK_THROWS_AS(nn::GroupNorm(4, 6), ShapeError);
    CHECK_THROWS_AS(nn::LayerNorm(Shape{}), ShapeError);
    CHECK_THROWS_AS(nn::InstanceNorm2d(5)(x), ShapeError);
  }

  TEST_CASE("pools hand their options through") {
    const Tensor x = values({2, 3, 5, 7});
    CHECK(nn::AvgPool2d({.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false})(x).to_vector<double>() ==
          avg_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false}).to_vector<double>());
    CHECK(nn::AdaptiveAvgPool2d({2, 3})(x).shape() == Shape{2, 3, 2, 3});
    const Tensor one = nn::AdaptiveAvgPool2d(1)(x);
    CHECK(one.shape() == Shape{2, 3, 1, 1});
    const auto mean = x.mean({.axes = {2, 3}}).to_vector<double>(), pooled = one.to_vector<double>();
    for (size_t i = 0; i < mean.size(); ++i) CHECK(pooled[i] == doctest::Approx(mean[i]));
    CHECK(nn::Upsample(2, {.mode = ResizeMode::nearest})(x).to_vector<double>() ==
          resize(x, {10, 14}, {.mode = ResizeMode::nearest}).to_vector<double>());
    CHECK(to_string(nn::AvgPool2d({.kernel = {2, 3}})).find("AvgPool2d(kernel 2x3, stride 2x3)") == 0);
    CHECK(to_string(nn::MaxPool2d({.kernel = 3, .stride = 2})).find("MaxPool2d(kernel 3x3, stride 2x2)") == 0);
    CHECK(to_string(nn::AdaptiveAvgPool2d(6)).find("AdaptiveAvgPool2d(6x6)") == 0);
    CHECK(to_string(nn::Upsample(4)).find("Upsample(x4)") == 0);
  }
}

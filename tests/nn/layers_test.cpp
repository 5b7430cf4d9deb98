// Layers that wrap one operation: names and shapes of parameters, options handed through, placement, printing. The
// operations' own values are tested in tests/ops and tests/golden.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/array.h"
#include "weft/nn/embedding.h"
#include "weft/nn/layer_norm.h"
#include "weft/nn/pool.h"
#include "weft/tensor/operators.h"

using namespace weft;

namespace {

Tensor values(const Shape& shape, uint64_t seed = 1) {
  return test::make_tensor(test::make_values(test::input(shape), seed), DType::f64);
}

std::vector<std::string> names(const nn::Module& module) {
  std::vector<std::string> list;
  for (const nn::Parameter& p : module.parameters()) list.push_back(p.name());
  return list;
}

}  // namespace

TEST_SUITE("nn/layers") {
  TEST_CASE("Embedding: rows by number; the padding row is zero and is not trained") {
    nn::Embedding table(5, 3, {.padding = 2});
    CHECK(to_string(table).find("Embedding(5 of 3)") == 0);
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
    CHECK_THROWS_AS(table(tensor<int64_t>({5})), IndexError);
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
    check_groups(nn::LayerNorm({6, 4})(x), 24, 1e-3);
    check_groups(nn::GroupNorm(3, 6)(x), 8, 1e-3);
    check_groups(nn::InstanceNorm2d(6)(x), 4, 1e-3);
    nn::GroupNorm group(2, 6);
    CHECK(names(group) == std::vector<std::string>{"weight", "bias"});
    CHECK(group.parameter_count() == 12);
    CHECK(to_string(group).find("GroupNorm(6 in 2 groups)") == 0);
    const Tensor plain = group(x);
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

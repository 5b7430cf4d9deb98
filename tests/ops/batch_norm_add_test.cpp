// Batch norm with a residual: values, both gradients, and that nothing differs from its parts.
#include "weft/autograd/ops/batch_norm_add.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/op_table.h"
#include "weft/autograd/ops/unary.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr double eps = 0.1;  // so that a channel of equal values is as smooth as the others

// Inputs: x, residual, gamma, beta; with given statistics then mean and variance.
OpFunction with(bool relu) {
  return [relu](const Tensors& v) {
    const bool given = v.size() > 4;
    return batch_norm_add(v[0], v[1], v[2], v[3], given ? v[4] : Tensor(), given ? v[5] : Tensor(),
                          {.eps = eps, .training = !given, .relu = relu});
  };
}

Reference naive(bool relu) {
  return [relu](const Arrays& v) {
    const Array& x = v[0];
    const int64_t channels = x.size(1);
    int64_t inner = 1;
    for (int d = 2; d < x.shape.rank(); ++d) inner *= x.size(d);
    Array mean({channels}), var({channels}), y(x.shape);
    const auto channel = [&](int64_t i) { return i / inner % channels; };
    const double n = static_cast<double>(x.numel()) / static_cast<double>(channels);
    for (int64_t i = 0; i < x.numel(); ++i) mean[channel(i)] += x[i] / n;
    for (int64_t i = 0; i < x.numel(); ++i) var[channel(i)] += std::pow(x[i] - mean[channel(i)], 2) / n;
    if (v.size() > 4) mean = v[4], var = v[5];
    for (int64_t i = 0; i < x.numel(); ++i) {
      const int64_t c = channel(i);
      y[i] = (x[i] - mean[c]) / std::sqrt(var[c] + eps) * v[2][c] + v[3][c] + v[1][i];
      if (relu && y[i] < 0) y[i] = 0;
    }
    return y;
  };
}

Input vector(int64_t channels) { return input({channels}); }
Input constant(int64_t channels) { return input({channels}).positive().untracked(); }

}  // namespace

OP_TABLE(batch_norm_add) {
  const RowOptions close{.slack = 4, .gradient_slack = 4}, wide{.dtypes = {DType::f64, DType::f32}};
  const Input image = input({2, 5, 3, 4});
  table.op("batch_norm_add")
      .row("image", {image, image, vector(5), vector(5)}, with(false), naive(false), close)
      .row("image and ReLU", {image, image, vector(5), vector(5)}, with(true), naive(true), close)
      .row("rows and ReLU", {input({6, 3}), input({6, 3}), vector(3), vector(3)}, with(true), naive(true), close)
      .row("many channels and ReLU", {input({2, 36, 2, 2}), input({2, 36, 2, 2}), vector(36), vector(36)}, with(true),
           naive(true), {.slack = 4, .gradient_slack = 8})
      .row("fixed residual", {image, input({2, 5, 3, 4}).untracked(), vector(5), vector(5)}, with(true), naive(true),
           close)
      .row("only the residual", {input({2, 5, 3, 4}).untracked(), image, vector(5).untracked(), vector(5).untracked()},
           with(true), naive(true), close)
      .row("given statistics and ReLU", {image, image, vector(5), vector(5), constant(5), constant(5)}, with(true),
           naive(true), close)
      .row("no samples", {input({0, 3, 2, 2}), input({0, 3, 2, 2}), vector(3), vector(3)}, with(true), naive(true),
           wide)
      .error<ShapeError>("residual", "…[2, 3]…[2, 4]…",
                         [] {
                           batch_norm_add(ones({2, 3}), ones({2, 4}), {}, {}, {}, {}, {.training = true});
                         })
      .error<ShapeError>("gamma", "batch_norm_add: gamma has shape [4], the input [2, 3] has 3 channels", [] {
        batch_norm_add(ones({2, 3}), ones({2, 3}), ones({4}), {}, {}, {}, {.training = true});
      });
}

TEST_CASE("batch_norm_add: as batch norm, addition and ReLU one after another, running statistics too") {
  const Tensor x = randn({8, 6, 3, 3}), residual = randn({8, 6, 3, 3}), gamma = randn({6}), beta = randn({6});
  Tensor mean = zeros({6}), var = ones({6}), same_mean = zeros({6}), same_var = ones({6});
  const Tensor y = batch_norm_add(x, residual, gamma, beta, mean, var, {.training = true, .relu = true});
  const Tensor parts = relu(batch_norm(x, gamma, beta, same_mean, same_var, {.training = true}) + residual);
  CHECK(difference(to_array(y), to_array(parts), tolerance_of(DType::f32)) == "");
  CHECK(mean.to_vector<float>() == same_mean.to_vector<float>());
  CHECK(var.to_vector<float>() == same_var.to_vector<float>());
  CHECK(y.is_contiguous(Layout::channels_last));
}

TEST_CASE("batch_norm_add: the same bits on any number of threads") {
  const Tensor x = randn({9, 300, 8, 8}), residual = randn({9, 300, 8, 8});
  const auto run = [&](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    const Tensor y = batch_norm_add(x, residual, {}, {}, {}, {}, {.training = true, .relu = true});
    set_num_threads(before);
    return y.to_vector<float>();
  };
  const auto one = run(1);
  CHECK(run(2) == one);
  CHECK(run(3) == one);
}

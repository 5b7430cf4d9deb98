// Batch norm: statistics of the batch and given ones, ReLU in the same pass, running statistics, numbers that lose
// digits.
#include "weft/autograd/ops/batch_norm.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/ops/batch_norm.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr double eps = 0.1;  // so that a channel of equal values is as smooth as the others

struct Moments {
  std::vector<double> mean, var;
};

// Calls f(flat index, channel) for all elements.
template <class F>
void each(const Array& x, const F& f) {
  int64_t inner = 1;
  for (int d = 2; d < x.shape.rank(); ++d) inner *= x.size(d);
  for (int64_t i = 0; i < x.numel(); ++i) f(i, static_cast<size_t>(i / inner % x.size(1)));
}

Moments moments(const Array& x) {
  const auto channels = static_cast<size_t>(x.size(1));
  const double n = static_cast<double>(x.numel()) / static_cast<double>(channels);
  Moments m{std::vector<double>(channels), std::vector<double>(channels)};
  each(x, [&](int64_t i, size_t c) { m.mean[c] += x[i] / n; });
  each(x, [&](int64_t i, size_t c) { m.var[c] += (x[i] - m.mean[c]) * (x[i] - m.mean[c]) / n; });
  return m;
}

Array normalized(const Array& x, const Moments& m, const Arrays& v, size_t gamma, bool relu) {
  Array y(x.shape);
  each(x, [&](int64_t i, size_t c) {
    const double scale = gamma < v.size() ? v[gamma][static_cast<int64_t>(c)] : 1;
    const double shift = gamma + 1 < v.size() ? v[gamma + 1][static_cast<int64_t>(c)] : 0;
    y[i] = (x[i] - m.mean[c]) / std::sqrt(m.var[c] + eps) * scale + shift;
    if (relu && y[i] < 0) y[i] = 0;
  });
  return y;
}

// Inputs: x, then gamma and beta if there are any.
OpFunction training(bool relu) {
  return [relu](const Tensors& v) {
    return batch_norm(v[0], v.size() > 1 ? v[1] : Tensor(), v.size() > 2 ? v[2] : Tensor(), {}, {},
                      {.eps = eps, .training = true, .relu = relu});
  };
}
Reference naive_training(bool relu) {
  return [relu](const Arrays& v) { return normalized(v[0], moments(v[0]), v, 1, relu); };
}
// Inputs: x, running mean, running variance, then gamma and beta if there are any.
OpFunction given(bool relu) {
  return [relu](const Tensors& v) {
    return batch_norm(v[0], v.size() > 3 ? v[3] : Tensor(), v.size() > 4 ? v[4] : Tensor(), v[1], v[2],
                      {.eps = eps, .relu = relu});
  };
}
Reference naive_given(bool relu) {
  return [relu](const Arrays& v) { return normalized(v[0], {v[1].values, v[2].values}, v, 3, relu); };
}

Input vector(int64_t channels) { return input({channels}); }
Input constant(int64_t channels) { return input({channels}).positive().untracked(); }

const std::vector<DType> wide = {DType::f64, DType::f32};

}  // namespace

OP_TABLE(batch_norm) {
  const RowOptions close{.slack = 4, .gradient_slack = 4};
  table.op("batch_norm")
      .row("rows", {input({6, 3}), vector(3), vector(3)}, training(false), naive_training(false), close)
      .row("image", {input({2, 5, 3, 4}), vector(5), vector(5)}, training(false), naive_training(false), close)
      .row("image and ReLU", {input({2, 5, 3, 4}), vector(5), vector(5)}, training(true), naive_training(true), close)
      .row("many channels and ReLU", {input({2, 35, 2, 2}), vector(35), vector(35)}, training(true),
           naive_training(true), {.slack = 4, .gradient_slack = 8})
      .row("line", {input({3, 8, 5}), vector(8), vector(8)}, training(false), naive_training(false), close)
      .row("volume", {input({2, 3, 2, 3, 2}), vector(3), vector(3)}, training(true), naive_training(true), close)
      .row("no gamma, no beta", {input({4, 3, 2})}, training(false), naive_training(false), close)
      .row("no beta, and ReLU", {input({4, 3, 2}), vector(3)}, training(true), naive_training(true), close)
      .row("fixed gamma and beta", {input({4, 3, 2}), vector(3).untracked(), vector(3).untracked()}, training(true),
           naive_training(true), close)
      .row("fixed input", {input({4, 3, 2}).untracked(), vector(3), vector(3)}, training(true), naive_training(true),
           close)
      .row("given statistics", {input({2, 5, 3, 4}), constant(5), constant(5), vector(5), vector(5)}, given(false),
           naive_given(false), close)
      .row("given statistics and ReLU", {input({2, 5, 3, 4}), constant(5), constant(5), vector(5), vector(5)},
           given(true), naive_given(true), close)
      .row("given statistics, no gamma, no beta", {input({3, 4}), constant(4), constant(4)}, given(true),
           naive_given(true), close)
      .row("given statistics, one value", {input({1, 4}), constant(4), constant(4), vector(4), vector(4)}, given(false),
           naive_given(false), close)
      .row("no samples", {input({0, 3, 2, 2}), vector(3), vector(3)}, training(false), naive_training(false),
           {.dtypes = wide})
      .row("no samples, given statistics", {input({0, 3}), constant(3), constant(3)}, given(true), naive_given(true),
           {.dtypes = wide})
      .error<ShapeError>("one value per channel",
                         "batch_norm: one value per channel in training, shape [1, 3, 1, 1]; …",
                         [] {
                           batch_norm(ones({1, 3, 1, 1}), {}, {}, {}, {}, {.training = true});
                         })
      .error<ShapeError>("rank", "batch_norm: expected [N, C] or [N, C, d…], got shape [4]",
                         [] { batch_norm(ones({4}), {}, {}, {}, {}, {.training = true}); })
      .error<ShapeError>("gamma", "batch_norm: gamma has shape [4], the input [2, 3] has 3 channels",
                         [] {
                           batch_norm(ones({2, 3}), ones({4}), {}, {}, {}, {.training = true});
                         })
      .error<DtypeError>("gamma type", "batch_norm: gamma is float64 for an input of float32; …",
                         [] {
                           batch_norm(ones({2, 3}), ones({3}, {.dtype = DType::f64}), {}, {}, {}, {.training = true});
                         })
      .error<ShapeError>("running statistics", "batch_norm: running_mean has shape [2] for 3 channels",
                         [] {
                           batch_norm(ones({2, 3}), {}, {}, ones({2}), ones({2}), {.training = true});
                         })
      .error<Error>("no running statistics", "batch_norm: no running statistics; …",
                    [] {
                      batch_norm(ones({2, 3}), {}, {}, {}, {});
                    })
      .error<Error>("half of them", "batch_norm: one of running_mean and running_var is undefined; …", [] {
        batch_norm(ones({2, 3}), {}, {}, ones({3}), {});
      });
}

TEST_CASE("batch_norm: running statistics move by momentum, the variance unbiased") {
  Tensor x = tensor({{1.0f, 10.0f}, {3.0f, 10.0f}, {5.0f, 40.0f}});  // [3, 2]
  Tensor mean = tensor({1.0f, 0.0f}), var = tensor({1.0f, 2.0f});
  batch_norm(x, {}, {}, mean, var, {.momentum = 0.25, .training = true});
  CHECK(mean.to_vector<float>() == std::vector<float>{1.5f, 5.0f});
  CHECK(var.to_vector<float>() == std::vector<float>{1.75f, 76.5f});  // unbiased 4 and 300
  batch_norm(x, {}, {}, mean, var, {});
  CHECK(mean.to_vector<float>() == std::vector<float>{1.5f, 5.0f});
}

TEST_CASE("batch_norm: an update after the forward pass with given statistics is noticed") {
  Tensor x = randn({4, 3}), mean = zeros({3}), var = ones({3});
  x.attach_grad();
  Tensor y;
  {
    const autograd::Record record;
    y = batch_norm(x, {}, {}, mean, var, {}).sum();
  }
  batch_norm(x.detach(), {}, {}, mean, var, {.training = true});
  CHECK(throws<AutogradError>("…batch_norm…", [&] { y.backward(); }) == "");
}

TEST_CASE("batch_norm: statistics keep their digits far from zero, over many chunks") {
  for (const int64_t channels : {3, 40}) {
    const Tensor x = (randn({700, channels}, {.dtype = DType::f64}) * 0.5 + 4096.0).to(DType::f32);
    const auto [mean, var] = ops::batch_norm_statistics(x);
    const Moments m = moments(to_array(x));
    const std::vector<float> got = var.to_vector<float>();
    for (size_t c = 0; c < got.size(); ++c) {
      CHECK(mean.to_vector<float>()[c] == doctest::Approx(m.mean[c]).epsilon(1e-7));
      CHECK(got[c] == doctest::Approx(m.var[c]).epsilon(1e-4));
    }
  }
}

TEST_CASE("batch_norm: sums over many chunks") {
  const Tensor x = randn({500, 20}), dy = randn({500, 20}), gamma = randn({20}), none;
  const auto [mean, var] = ops::batch_norm_statistics(x);
  const Tensor r = ops::batch_norm_inverse_std(var, eps), y = ops::batch_norm_normalize(x, mean, r, gamma, none, true);
  const auto [dbeta, dgamma] = ops::batch_norm_sums(x, dy, y, mean, r);
  const Array xs = to_array(x), dys = to_array(dy), ys = to_array(y), m = to_array(mean), rs = to_array(r);
  std::vector<double> beta(20), scale(20);
  each(xs, [&](int64_t i, size_t c) {
    if (!(ys[i] > 0)) return;
    beta[c] += dys[i];
    scale[c] += dys[i] * (xs[i] - m[static_cast<int64_t>(c)]) * rs[static_cast<int64_t>(c)];
  });
  for (size_t c = 0; c < 20; ++c) {
    CHECK(dbeta.to_vector<float>()[c] == doctest::Approx(beta[c]).epsilon(1e-4));
    CHECK(dgamma.to_vector<float>()[c] == doctest::Approx(scale[c]).epsilon(1e-4));
  }
}

TEST_CASE("batch_norm: 16-bit data with f32 parameters") {
  const Tensor x = randn({8, 4, 3, 3}), gamma = randn({4}), beta = randn({4});
  const Array want =
      to_array(batch_norm(x.to(DType::bf16).to(DType::f32), gamma, beta, {}, {}, {.training = true, .relu = true}));
  Tensor mean = zeros({4}), var = ones({4});
  const Tensor y = batch_norm(x.to(DType::bf16), gamma, beta, mean, var, {.training = true, .relu = true});
  CHECK(y.dtype() == DType::bf16);
  CHECK(difference(to_array(y), want, tolerance_of(DType::bf16)) == "");
  CHECK(mean.dtype() == DType::f32);
}

TEST_CASE("batch_norm: the result is channels-last, whatever the input") {
  const Tensor x = randn({2, 3, 4, 5});
  for (const Layout layout : {Layout::row_major, Layout::channels_last})
    CHECK(batch_norm(x.contiguous(layout), {}, {}, {}, {}, {.training = true}).is_contiguous(Layout::channels_last));
}

TEST_CASE("batch_norm: no third derivative") {
  Tensor x = randn({5, 2}, {.dtype = DType::f64});
  x.attach_grad();
  const autograd::Record record;
  const Tensor y = batch_norm(x, {}, {}, {}, {}, {.training = true});
  const Tensor first = autograd::grad({(y * y * y).sum()}, {x}, {.create_graph = true})[0];
  const Tensor second = autograd::grad({(first * first).sum()}, {x}, {.create_graph = true})[0];
  CHECK(throws<AutogradError>("batch_norm has no third derivative", [&] { autograd::grad({second.sum()}, {x}); }) ==
        "");
}

TEST_CASE("batch_norm: the same bits on any number of threads") {
  const Tensor x = randn({9, 48, 16, 16}), dy = randn({9, 48, 16, 16}), gamma = randn({48}), beta = randn({48});
  const auto run = [&](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    const auto [mean, var] = ops::batch_norm_statistics(x);
    const Tensor r = ops::batch_norm_inverse_std(var, eps),
                 y = ops::batch_norm_normalize(x, mean, r, gamma, beta, true);
    const auto [dbeta, dgamma] = ops::batch_norm_sums(x, dy, y, mean, r);
    const Tensor dx = ops::batch_norm_dx(x, dy, y, mean, r, gamma, dbeta, dgamma, 9 * 256);
    set_num_threads(before);
    std::vector<std::vector<float>> all;
    for (const Tensor& t : {mean, var, y, dbeta, dgamma, dx}) all.push_back(t.to_vector<float>());
    return all;
  };
  const auto one = run(1);
  CHECK(run(2) == one);
  CHECK(run(3) == one);
}

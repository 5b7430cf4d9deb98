// Layer, group and instance norm.
#include "weft/autograd/ops/group_norm.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr double eps = 0.1;

// Rows of n elements; element j of row i has the gamma of channel(i, j).
template <class Channel>
Array normalize(const Arrays& v, int64_t n, const Channel& channel) {
  const Array& x = v[0];
  Array y(x.shape);
  for (int64_t i = 0; n > 0 && i < x.numel() / n; ++i) {
    double mean = 0, var = 0;
    for (int64_t j = 0; j < n; ++j) mean += x[i * n + j] / static_cast<double>(n);
    for (int64_t j = 0; j < n; ++j) var += std::pow(x[i * n + j] - mean, 2) / static_cast<double>(n);
    for (int64_t j = 0; j < n; ++j) {
      const double scale = v.size() > 1 ? v[1][channel(i, j)] : 1, shift = v.size() > 2 ? v[2][channel(i, j)] : 0;
      y[i * n + j] = (x[i * n + j] - mean) / std::sqrt(var + eps) * scale + shift;
    }
  }
  return y;
}

Tensor second(const Tensors& v) { return v.size() > 1 ? v[1] : Tensor(); }
Tensor third(const Tensors& v) { return v.size() > 2 ? v[2] : Tensor(); }

OpFunction layers(const Shape& normalized) {
  return [normalized](const Tensors& v) { return layer_norm(v[0], normalized, second(v), third(v), eps); };
}
Reference naive_layers(const Shape& normalized) {
  return [normalized](const Arrays& v) {
    return normalize(v, numel_of(normalized), [](int64_t, int64_t j) { return j; });
  };
}
OpFunction groups(int64_t count) {
  return [count](const Tensors& v) { return group_norm(v[0], count, second(v), third(v), eps); };
}
Reference naive_groups(int64_t count) {
  return [count](const Arrays& v) {
    const int64_t channels = v[0].size(1), per_group = channels / count;
    int64_t spatial = 1;
    for (int d = 2; d < v[0].shape.rank(); ++d) spatial *= v[0].size(d);
    return normalize(v, per_group * spatial, [=](int64_t i, int64_t j) { return i % count * per_group + j / spatial; });
  };
}
Tensor instances(const Tensors& v) { return instance_norm(v[0], second(v), third(v), eps); }
Array naive_instances(const Arrays& v) { return naive_groups(v[0].size(1))(v); }

Input vector(int64_t channels) { return input({channels}); }

}  // namespace

OP_TABLE(group_norm) {
  const RowOptions close{.slack = 4, .gradient_slack = 4}, wide{.dtypes = {DType::f64, DType::f32}};
  table.op("layer_norm")
      .row("rows", {input({4, 6}), vector(6), vector(6)}, layers({6}), naive_layers({6}), close)
      .row("rows of two axes", {input({2, 3, 4}), input({3, 4}), input({3, 4})}, layers({3, 4}), naive_layers({3, 4}),
           close)
      .row("long rows", {input({2, 150}), vector(150), vector(150)}, layers({150}), naive_layers({150}),
           {.slack = 4, .gradient_slack = 8, .no_second_gradient = "as in the other rows, and slow"})
      .row("very long rows", {input({1, 1100}), vector(1100), vector(1100)}, layers({1100}), naive_layers({1100}),
           {.dtypes = wide.dtypes, .slack = 8, .no_gradient = "as in the other rows, and slow"})
      .row("no gamma, no beta", {input({3, 5})}, layers({5}), naive_layers({5}), close)
      .row("no beta", {input({3, 5}), vector(5)}, layers({5}), naive_layers({5}), close)
      .row("all of it", {input({3, 4}), input({3, 4}), input({3, 4})}, layers({3, 4}), naive_layers({3, 4}), close)
      .row("fixed input", {input({3, 4}).untracked(), vector(4), vector(4)}, layers({4}), naive_layers({4}), close)
      .row("no rows", {input({0, 4}), vector(4), vector(4)}, layers({4}), naive_layers({4}), wide)
      .error<ShapeError>("extents", "layer_norm: the last extents of shape [2, 3] are not [4]",
                         [] {
                           layer_norm(ones({2, 3}), {4});
                         })
      .error<ShapeError>("gamma", "layer_norm: gamma or beta has shape [2]; it must be [3]",
                         [] {
                           layer_norm(ones({2, 3}), {3}, ones({2}));
                         })
      .error<DtypeError>("gamma type", "layer_norm: gamma is float64 for an input of float32; …", [] {
        layer_norm(ones({2, 3}), {3}, ones({3}, {.dtype = DType::f64}));
      });
  table.op("group_norm")
      .row("image", {input({2, 6, 3, 2}), vector(6), vector(6)}, groups(3), naive_groups(3), close)
      .row("one group", {input({2, 4, 3}), vector(4), vector(4)}, groups(1), naive_groups(1), close)
      .row("rows", {input({3, 6}), vector(6), vector(6)}, groups(2), naive_groups(2), close)
      .row("volume, no gamma", {input({1, 4, 2, 3, 2})}, groups(2), naive_groups(2), close)
      .row("no samples", {input({0, 4, 3}), vector(4), vector(4)}, groups(2), naive_groups(2), wide)
      .error<ShapeError>("groups", "group_norm: 2 groups do not divide the 3 channels of shape [2, 3, 4]",
                         [] {
                           group_norm(ones({2, 3, 4}), 2);
                         })
      .error<ShapeError>("rank", "group_norm: expected [N, C] or [N, C, d…], got shape [4]",
                         [] { group_norm(ones({4}), 1); })
      .error<ShapeError>("gamma", "group_norm: gamma has shape [2] for 4 values of input [2, 4]", [] {
        group_norm(ones({2, 4}), 2, ones({2}));
      });
  table.op("instance_norm")
      .row("image", {input({2, 3, 4, 3}), vector(3), vector(3)}, instances, naive_instances, close)
      .row("line, no gamma", {input({2, 3, 7})}, instances, naive_instances, close)
      .row("no samples", {input({0, 3, 2}), vector(3), vector(3)}, instances, naive_instances, wide)
      .error<ShapeError>("rank", "instance_norm: expected [N, C] or [N, C, d…], got shape [4]",
                         [] { instance_norm(ones({4})); });
}

TEST_CASE("layer_norm: keeps its digits far from zero") {
  const Tensor x = (randn({3, 5000}, {.dtype = DType::f64}) * 0.5 + 4096.0).to(DType::f32);
  const Tensor y = layer_norm(x, {5000}), exact = layer_norm(x.to(DType::f64), {5000});
  CHECK(difference(to_array(y), to_array(exact), {.relative = 1e-3, .absolute = 1e-3}) == "");
}

TEST_CASE("layer_norm: 16-bit data with f32 parameters") {
  const Tensor x = randn({4, 40}), gamma = randn({40}), beta = randn({40});
  const Array want = to_array(layer_norm(x.to(DType::bf16).to(DType::f32), {40}, gamma, beta));
  const Tensor y = layer_norm(x.to(DType::bf16), {40}, gamma, beta);
  CHECK(y.dtype() == DType::bf16);
  CHECK(difference(to_array(y), want, tolerance_of(DType::bf16)) == "");
}

TEST_CASE("group_norm: the gradient that is recorded is the one that is not") {
  for (const DType dtype : {DType::f64, DType::f32}) {
    Tensor x = randn({3, 6, 5}, {.dtype = dtype}), gamma = randn({6}, {.dtype = dtype});
    x.attach_grad();
    gamma.attach_grad();
    const autograd::Record record;
    const Tensor y = group_norm(x, 2, gamma), loss = (y * y * y).sum();
    const Tensors plain = autograd::grad({loss}, {x, gamma}, {.retain_graph = true});
    const Tensors recorded = autograd::grad({loss}, {x, gamma}, {.create_graph = true});
    for (size_t i = 0; i < 2; ++i)
      CHECK(gradient_difference(to_array(plain[i]), to_array(recorded[i]), dtype == DType::f64 ? 1e-12 : 1e-5) == "");
  }
}

TEST_CASE("group_norm: the same bits on any number of threads") {
  Tensor x = randn({9, 48, 33}), dy = randn({9, 48, 33});
  const auto run = [&](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    x.attach_grad();
    Tensor y;
    {
      const autograd::Record record;
      y = group_norm(x, 8);
    }
    y.backward({.head_grads = {dy}});
    set_num_threads(before);
    return std::pair{y.to_vector<float>(), x.grad().to_vector<float>()};
  };
  const auto one = run(1);
  CHECK(run(2) == one);
  CHECK(run(3) == one);
}

// Nearest resize, and resize by a scale.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/op_table.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/resize.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

OpFunction to(Pair size) {
  return [size](const Tensors& v) { return resize(v[0], size, {.mode = ResizeMode::nearest}); };
}
OpFunction by(ResizeScale scale, ResizeOptions options = {}) {
  return [scale, options](const Tensors& v) { return resize_by(v[0], scale, options); };
}

// step_h, step_w: source pixels per output pixel.
Reference naive(Pair size, double step_h, double step_w) {
  return [=](const Arrays& v) {
    const Array& x = v[0];
    const auto source = [](int64_t o, double step, int64_t in) {
      return std::min(in - 1, static_cast<int64_t>(std::floor(static_cast<double>(o) * step + 1e-9)));
    };
    Array y({x.size(0), x.size(1), size.h, size.w});
    for (int64_t i = 0; i < y.numel(); ++i) {
      const int64_t h = source(i / size.w % size.h, step_h, x.size(2)), w = source(i % size.w, step_w, x.size(3));
      y[i] = x[(i / size.w / size.h * x.size(2) + h) * x.size(3) + w];
    }
    return y;
  };
}

// Bilinear with the scale's own positions; a hat of width one around each.
Reference naive_bilinear(Pair size, double scale) {
  return [=](const Arrays& v) {
    const Array& x = v[0];
    const auto weight = [&](int64_t o, int64_t i, int64_t in) {
      const double at = std::max(0.0, (static_cast<double>(o) + 0.5) / scale - 0.5);
      return std::max(0.0, 1 - std::abs(std::min(at, static_cast<double>(in - 1)) - static_cast<double>(i)));
    };
    Array y({x.size(0), x.size(1), size.h, size.w});
    for (int64_t i = 0; i < y.numel(); ++i)
      for (int64_t h = 0; h < x.size(2); ++h)
        for (int64_t w = 0; w < x.size(3); ++w)
          y[i] += weight(i / size.w % size.h, h, x.size(2)) * weight(i % size.w, w, x.size(3)) *
                  x[(i / size.w / size.h * x.size(2) + h) * x.size(3) + w];
    return y;
  };
}

}  // namespace

OP_TABLE(resize_nearest) {
  table.op("resize_nearest")
      .row("up", {input({2, 3, 3, 4})}, to({7, 9}), naive({7, 9}, 3.0 / 7, 4.0 / 9))
      .row("down", {input({1, 4, 7, 8})}, to({3, 2}), naive({3, 2}, 7.0 / 3, 4))
      .row("up one way, down the other", {input({1, 2, 3, 8})}, to({6, 3}), naive({6, 3}, 0.5, 8.0 / 3))
      .row("many channels", {input({1, 70, 2, 3})}, to({4, 3}), naive({4, 3}, 0.5, 1))
      .row("masks", {input({2, 1, 5, 4}).integers(0, 9)}, to({3, 9}), naive({3, 9}, 5.0 / 3, 4.0 / 9),
           {.dtypes = all_dtypes, .exact = true})
      .row("no samples", {input({0, 2, 3, 3})}, to({2, 5}), naive({2, 5}, 1.5, 0.6))
      .error<ShapeError>("size", "resize: an image of (3, 3) cannot be resized to (0, 4); both must have a pixel",
                         [] {
                           resize(ones({1, 1, 3, 3}), {0, 4}, {.mode = ResizeMode::nearest});
                         })
      .error<Error>("corners", "resize: .align_corners is for bilinear resize; …", [] {
        resize(ones({1, 1, 3, 3}), {4, 4}, {.align_corners = true, .mode = ResizeMode::nearest});
      });
  const ResizeOptions nearest{.mode = ResizeMode::nearest};
  table.op("resize_by")
      .row("twice", {input({1, 2, 3, 4})}, by(2), naive_bilinear({6, 8}, 2))
      .row("an uneven scale", {input({1, 2, 5, 4})}, by(1.3), naive_bilinear({6, 5}, 1.3))
      .row("nearest", {input({1, 3, 5, 7})}, by({1.3, 0.4}, nearest), naive({6, 2}, 1 / 1.3, 2.5))
      .row("no samples", {input({0, 2, 3, 3})}, by(2), naive_bilinear({6, 6}, 2))
      .error<Error>("scale", "resize_by: scales 0 and 2 must be positive and below 1e6",
                    [] {
                      resize_by(ones({1, 1, 3, 3}), {0, 2});
                    })
      .error<ShapeError>("nothing left", "resize: an image of (3, 3) cannot be resized to (0, 0); …",
                         [] {
                           resize_by(ones({1, 1, 3, 3}), 0.1);
                         })
      .error<ShapeError>("rank", "resize_by: expected [N, C, H, W], got shape [3]", [] { resize_by(ones({3}), 2); });
}

TEST_CASE("resize: nearest and its transpose are each other's transpose, for any sizes") {
  Dice dice(seed_for("resize_nearest"));
  for (int i = 0; i < 60; ++i) {
    const Pair from{dice.integer(1, 9), dice.integer(1, 9)}, into{dice.integer(1, 20), dice.integer(1, 20)};
    ResizeOptions options{.mode = ResizeMode::nearest};
    if (i % 2) options.scale_h = dice.uniform(0.1, 5);
    CAPTURE(options.scale_h);
    const Tensor x = randn({2, 3, from.h, from.w}, {.dtype = DType::f64}),
                 g = randn({2, 3, into.h, into.w}, {.dtype = DType::f64});
    const double forward = sum(resize(x, into, options) * g).item<double>();
    const double backward = sum(x * autograd::resize_backward(g, from, options)).item<double>();
    CHECK(forward == doctest::Approx(backward).epsilon(1e-9));
  }
}

TEST_CASE("resize: nearest gives the same bits on any number of threads") {
  const Tensor x = randn({3, 21, 17, 19}), dy = randn({3, 21, 60, 70});
  const ResizeOptions nearest{.mode = ResizeMode::nearest};
  const auto run = [&](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    const Tensor y = ops::resize(x, {60, 70}, nearest), dx = ops::resize_backward(dy, {17, 19}, nearest);
    set_num_threads(before);
    return std::pair{y.to_vector<float>(), dx.to_vector<float>()};
  };
  const auto one = run(1);
  CHECK(run(2) == one);
  CHECK(run(3) == one);
}

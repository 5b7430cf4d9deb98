// Bilinear resize up and down, corners aligned or not, and the exactness of its transpose.
#include "weft/autograd/ops/resize.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/op_table.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

OpFunction to(Pair size, const ResizeOptions& options = {}) {
  return [size, options](const Tensors& v) { return resize(v[0], size, options); };
}

// Where output o lies in the source, as PyTorch's documentation says it.
double position(int64_t o, int64_t in, int64_t out, bool align_corners, double scale) {
  const double at = static_cast<double>(o), from = static_cast<double>(in), into = static_cast<double>(out);
  if (align_corners) return out == 1 ? 0 : at * (from - 1) / (into - 1);
  return std::max(0.0, (at + 0.5) * (scale > 0 ? 1 / scale : from / into) - 0.5);
}

Reference naive(Pair size, const ResizeOptions& o = {}) {
  return [size, o](const Arrays& v) {
    const Array& x = v[0];
    Array y({x.size(0), x.size(1), size.h, size.w});
    for (int64_t n = 0; n < x.size(0); ++n)
      for (int64_t c = 0; c < x.size(1); ++c)
        for (int64_t i = 0; i < size.h; ++i)
          for (int64_t j = 0; j < size.w; ++j) {
            const double a = position(i, x.size(2), size.h, o.align_corners, o.scale_h);
            const double b = position(j, x.size(3), size.w, o.align_corners, o.scale_w);
            // A hat of width one around the position, held at the edge.
            for (int64_t h = 0; h < x.size(2); ++h)
              for (int64_t w = 0; w < x.size(3); ++w) {
                const double wh =
                    1 - std::abs(std::min(a, static_cast<double>(x.size(2) - 1)) - static_cast<double>(h));
                const double ww =
                    1 - std::abs(std::min(b, static_cast<double>(x.size(3) - 1)) - static_cast<double>(w));
                if (wh > 0 && ww > 0) y(n, c, i, j) += wh * ww * x(n, c, h, w);
              }
          }
    return y;
  };
}

}  // namespace

OP_TABLE(resize) {
  const ResizeOptions corners{.align_corners = true}, scaled{.scale_h = 2.5, .scale_w = 0.7};
  table.op("resize")
      .row("up by 2", {input({2, 3, 3, 4})}, to({6, 8}), naive({6, 8}))
      .row("up by 2, corners aligned", {input({2, 3, 3, 4})}, to({6, 8}, corners), naive({6, 8}, corners))
      .row("up by odd factors", {input({1, 2, 3, 5})}, to({7, 16}), naive({7, 16}))
      .row("up by odd factors, corners aligned", {input({1, 2, 3, 5})}, to({7, 16}, corners), naive({7, 16}, corners))
      .row("down", {input({1, 2, 9, 11})}, to({4, 3}), naive({4, 3}))
      .row("down, corners aligned", {input({1, 2, 9, 11})}, to({4, 3}, corners), naive({4, 3}, corners))
      .row("up and down", {input({1, 2, 3, 9})}, to({8, 4}), naive({8, 4}))
      .row("many channels", {input({1, 70, 2, 2})}, to({3, 3}), naive({3, 3}))
      .row("more columns than are worked out at a time", {input({1, 1, 2, 40})}, to({2, 90}), naive({2, 90}))
      .row("one row to many outputs", {input({1, 2, 1, 2})}, to({3, 80}), naive({3, 80}))
      .row("one pixel", {input({2, 3, 1, 1})}, to({3, 2}), naive({3, 2}))
      .row("one pixel, corners aligned", {input({2, 3, 1, 1})}, to({3, 2}, corners), naive({3, 2}, corners))
      .row("to one pixel", {input({1, 3, 4, 5})}, to({1, 1}), naive({1, 1}))
      .row("to one pixel, corners aligned", {input({1, 3, 4, 5})}, to({1, 1}, corners), naive({1, 1}, corners))
      .row("the same size", {input({1, 2, 4, 3}).integers()}, to({4, 3}), naive({4, 3}), {.exact = true})
      .row("exact halves", {input({1, 2, 2, 3}).integers()}, to({3, 5}, corners), naive({3, 5}, corners),
           {.exact = true})
      .row("given scales", {input({1, 2, 4, 7})}, to({10, 4}, scaled), naive({10, 4}, scaled))
      .row("no samples", {input({0, 2, 3, 3})}, to({6, 6}), naive({6, 6}))
      .row("no channels", {input({2, 0, 3, 3})}, to({6, 6}), naive({6, 6}))
      .error<ShapeError>("rank", "resize: expected [N, C, H, W], got shape [2, 2]",
                         [] {
                           resize(ones({2, 2}), 4);
                         })
      .error<ShapeError>("size", "resize: an image of (2, 2) cannot be resized to (0, 4); both must have a pixel",
                         [] {
                           resize(ones({1, 1, 2, 2}), {0, 4});
                         })
      .error<Error>("scale", "resize: scales -1 and 0 must be positive, or 0 for the ratio of the sizes",
                    [] {
                      resize(ones({1, 1, 2, 2}), 4, {.scale_h = -1});
                    })
      .error<DtypeError>("integers", "resize: needs a floating dtype, got uint8…", [] {
        resize(ones({1, 1, 2, 2}, {.dtype = DType::u8}), 4);
      });
}

TEST_CASE("resize: the gradient is the transpose, for any sizes") {
  Dice dice(seed_for("resize transpose"));
  for (int i = 0; i < 200; ++i) {
    const Pair from{dice.integer(1, 40), dice.integer(1, 40)}, into{dice.integer(1, 40), dice.integer(1, 40)};
    const ResizeOptions options{.align_corners = dice.integer(0, 1) == 1,
                                .scale_h = dice.integer(0, 3) ? 0 : dice.uniform(0.1, 9)};
    CAPTURE(to_string(from) + " -> " + to_string(into) + (options.align_corners ? ", corners" : ""));
    CAPTURE(options.scale_h);
    const Tensor x = randn({2, 2, from.h, from.w}, {.dtype = DType::f64}),
                 g = randn({2, 2, into.h, into.w}, {.dtype = DType::f64});
    const double forward = sum(resize(x, into, options) * g).item<double>();
    const double backward = sum(x * ops::resize_backward(g, from, options)).item<double>();
    CHECK(forward == doctest::Approx(backward).epsilon(1e-9));
  }
}

TEST_CASE("resize: the same bits on any number of threads") {
  const Tensor x = randn({3, 21, 17, 19}), dy = randn({3, 21, 60, 70});
  const auto run = [&](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    const Tensor y = ops::resize(x, {60, 70}), dx = ops::resize_backward(dy, {17, 19});
    set_num_threads(before);
    return std::pair{y.to_vector<float>(), dx.to_vector<float>()};
  };
  const auto one = run(1);
  CHECK(run(2) == one);
  CHECK(run(3) == one);
}

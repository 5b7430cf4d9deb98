// Sliding windows: how many, where, what is averaged, and a net that looks at one pixel sees no windows.
#include "weft/nn/models/sliding_window.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "weft/autograd/ops/concat.h"
#include "weft/autograd/ops/flip.h"
#include "weft/autograd/ops/softmax.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"

using namespace weft;
using models::sliding_window;

namespace {

// Logits of three classes from the pixel alone.
Tensor by_pixel(const Tensor& x) {
  const Tensor first = x.slice(1, 0, 1);
  return concat({first, 2 * first + 0.5, 0.25 - first}, 1);
}

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const auto x = a.to_vector<float>(), y = b.to_vector<float>();
  double most = 0;
  for (size_t i = 0; i < x.size(); ++i) most = std::max(most, std::fabs(double{x[i]} - y[i]));
  return most;
}

}  // namespace

TEST_CASE("sliding window: 375 x 500 at six scales takes 18 windows, 36 forward passes") {
  int passes = 0;
  const auto net = [&](const Tensor& x) {
    ++passes;
    CHECK(x.shape() == Shape{1, 1, 480, 480});
    return zeros({1, 2, 480, 480});
  };
  const models::SlidingWindowOptions options{.scales = {0.5, 0.75, 1, 1.25, 1.5, 1.75}};
  const Tensor p = sliding_window(net, zeros({1, 1, 375, 500}), options);
  CHECK(passes == 36);
  CHECK(p.shape() == Shape{1, 2, 375, 500});
  CHECK(largest_difference(p, full({1, 2, 375, 500}, 0.5)) < 1e-6);
}

TEST_CASE("sliding window: a net that looks at one pixel gives its softmax, however windows overlap") {
  seed(3);
  for (const Shape& shape : {Shape{1, 2, 13, 20}, Shape{1, 2, 20, 7}, Shape{1, 2, 20, 20}}) {
    const Tensor image = uniform(shape, -1, 1);
    for (const int64_t crop : {8, 15, 32})
      for (const bool mirrored : {false, true}) {
        const Tensor p = sliding_window(by_pixel, image, {.base = 20, .crop = crop, .stride = 5, .flip = mirrored});
        CHECK(largest_difference(p, softmax(by_pixel(image), 1)) < 1e-6);
      }
  }
}

TEST_CASE("sliding window: mirrored windows are averaged as probabilities") {
  seed(4);
  const Tensor image = uniform({1, 1, 6, 6});
  const Tensor ramp = tensor<float>({0, 1, 2, 3, 4, 5}).reshape({1, 1, 1, 6});
  const auto net = [&](const Tensor& x) { return concat({x * ramp, x}, 1); };
  const Tensor expected = (softmax(net(image), 1) + flip(softmax(net(flip(image, {3})), 1), {3})) / 2;
  const models::SlidingWindowOptions options{.base = 6, .crop = 6, .stride = 6};
  CHECK(largest_difference(sliding_window(net, image, options), expected) < 1e-6);
  models::SlidingWindowOptions straight = options;
  straight.flip = false;
  CHECK(largest_difference(sliding_window(net, image, straight), expected) > 1e-2);
}

TEST_CASE("sliding window: what lies beyond the picture has the padding's values") {
  std::vector<float> corner;
  const auto net = [&](const Tensor& x) {
    corner = x.slice(2, 3, 4).slice(3, 3, 4).to_vector<float>();
    return by_pixel(x);
  };
  sliding_window(net, ones({1, 2, 3, 3}), {.base = 3, .crop = 4, .stride = 4, .flip = false, .padding = {-2, 5}});
  CHECK(corner == std::vector<float>{-2, 5});
}

TEST_CASE("sliding window: wrong arguments are named") {
  const auto wrong = [](const Tensor& x) { return x.slice(2, 0, 2); };
  CHECK_THROWS_WITH_AS(sliding_window(by_pixel, zeros({2, 1, 4, 4})), doctest::Contains("[2, 1, 4, 4]"), ShapeError);
  CHECK_THROWS_WITH_AS(sliding_window(wrong, zeros({1, 1, 4, 4}), {.base = 4, .crop = 4, .stride = 4}),
                       doctest::Contains("the net gave [1, 1, 2, 4]"), ShapeError);
  CHECK_THROWS_WITH_AS(sliding_window(by_pixel, zeros({1, 1, 4, 4}), {.crop = 4, .stride = 5}),
                       doctest::Contains("stride 5"), Error);
  CHECK_THROWS_WITH_AS(sliding_window(by_pixel, zeros({1, 1, 4, 4}), {.scales = {0}}), doctest::Contains("scale 0"),
                       Error);
}

// Padding and cropping, by a constant, a value per channel, reflection and the edge.
#include "weft/autograd/ops/pad.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/op_table.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

OpFunction with(const Padding& p, const PadOptions& options = {}) {
  return [p, options](const Tensors& v) { return pad(v[0], p, options); };
}

// Walks from a position outside, one pixel at a time, until it is inside: a mirror turns, an edge holds.
int64_t walk(int64_t i, int64_t in, PadMode mode) {
  int64_t at = i < 0 ? 0 : in - 1, direction = mode == PadMode::reflect ? (i < 0 ? 1 : -1) : 0;
  for (int64_t steps = i < 0 ? -i : i - in + 1; steps > 0; --steps) at += direction;
  return at;
}

// Planes: everything but the last two axes.
Reference naive(const Padding& p, const PadOptions& o = {}) {
  return [p, o](const Arrays& v) {
    const Array& x = v[0];
    const int64_t in_h = x.size(-2), in_w = x.size(-1), h = in_h + p.top + p.bottom, w = in_w + p.left + p.right;
    Shape shape = x.shape;
    shape[shape.rank() - 2] = h;
    shape[shape.rank() - 1] = w;
    Array y(shape);
    for (int64_t flat = 0; flat < y.numel(); ++flat) {
      const int64_t plane = flat / w / h;
      int64_t i = flat / w % h - p.top, j = flat % w - p.left;
      const bool in_rows = i >= 0 && i < in_h, in_columns = j >= 0 && j < in_w;
      if (o.mode == PadMode::constant && !(in_rows && in_columns)) {
        const auto channels = static_cast<int64_t>(o.values.size());
        y[flat] = channels > 0 ? o.values[static_cast<size_t>(plane % channels)] : o.value;
        continue;
      }
      if (!in_rows) i = walk(i, in_h, o.mode);
      if (!in_columns) j = walk(j, in_w, o.mode);
      y[flat] = x[(plane * in_h + i) * in_w + j];
    }
    return y;
  };
}

}  // namespace

OP_TABLE(pad) {
  const Padding sides(1, 2, 3, 0), around(2), crop(-1, 2, 1, -2), inside(-1);
  const PadOptions zero, nine{.value = 9}, reflect{.mode = PadMode::reflect}, replicate{.mode = PadMode::replicate};
  const PadOptions per_channel{.values = {1, 0.5, -2}}, four{.values = {1, 2, 3, 4}};
  table.op("pad")
      .row("zeros", {input({2, 3, 4, 5})}, with(sides), naive(sides))
      .row("a constant", {input({1, 4, 3, 2})}, with(sides, nine), naive(sides, nine))
      .row("a value per channel", {input({2, 3, 2, 3})}, with(around, per_channel), naive(around, per_channel))
      .row("a value for each of four channels", {input({1, 4, 2, 3})}, with(sides, four), naive(sides, four))
      .row("reflection", {input({1, 2, 4, 5})}, with(sides, reflect), naive(sides, reflect))
      .row("reflection on all sides", {input({1, 4, 3, 3})}, with(around, reflect), naive(around, reflect))
      .row("edge", {input({1, 2, 3, 2})}, with(sides, replicate), naive(sides, replicate))
      .row("edge of one pixel", {input({1, 3, 1, 1})}, with(around, replicate), naive(around, replicate))
      .row("many channels", {input({1, 70, 2, 2})}, with(1, reflect), naive(1, reflect))
      .row("crop", {input({1, 2, 4, 5})}, with(inside), naive(inside))
      .row("crop one side, pad the other", {input({1, 2, 4, 5})}, with(crop, nine), naive(crop, nine))
      .row("crop one side, reflect the other", {input({1, 2, 4, 5})}, with(crop, reflect), naive(crop, reflect))
      .row("crop one side, hold the other", {input({1, 2, 4, 5})}, with(crop, replicate), naive(crop, replicate))
      .row("nothing to do", {input({1, 2, 3, 4})}, with(0), naive(0))
      .row("masks", {input({2, 3, 4}).integers(0, 9)}, with(sides, {.value = 1}), naive(sides, {.value = 1}),
           {.dtypes = all_dtypes, .exact = true})
      .row("one plane", {input({3, 4})}, with(sides, nine), naive(sides, nine))
      .row("channels of one image", {input({3, 2, 4})}, with(sides, per_channel), naive(sides, per_channel))
      .row("no samples", {input({0, 2, 3, 3})}, with(sides), naive(sides))
      .error<ShapeError>("reflection",
                         "pad: a reflection of 3 and 0 pixels (top, bottom) must be smaller than the image's 3",
                         [] {
                           pad(ones({1, 1, 3, 4}), {3, 0, 0, 0}, {.mode = PadMode::reflect});
                         })
      .error<ShapeError>("nothing left",
                         "pad: -2 and -1 pixels (left, right) around 3 leave 0; at least one must remain",
                         [] {
                           pad(ones({1, 1, 3, 3}), {0, 0, -2, -1});
                         })
      .error<ShapeError>("values", "pad: 2 values for the 3 channels of shape [1, 3, 2, 2]; give one per channel",
                         [] {
                           pad(ones({1, 3, 2, 2}), 1, {.values = {1, 2}});
                         })
      .error<ShapeError>("rank", "pad: a tensor of shape [3] is no image; …", [] { pad(ones({3}), 1); });
}

TEST_CASE("pad: padding and its transpose are each other's transpose, for any sides") {
  Dice dice(seed_for("pad"));
  for (int round = 0; round < 90; ++round) {
    const auto mode = static_cast<PadMode>(round % 3);
    const Pair size{dice.integer(1, 6), dice.integer(1, 6)};
    const auto side = [&](int64_t in) { return dice.integer(-(in - 1) / 2, mode == PadMode::reflect ? in - 1 : 9); };
    const Padding p(side(size.h), side(size.h), side(size.w), side(size.w));
    const Tensor x = randn({2, 3, size.h, size.w}, {.dtype = DType::f64}), y = pad(x, p, {.mode = mode});
    const Tensor g = randn(y.shape(), {.dtype = DType::f64});
    CHECK(sum(y * g).item<double>() ==
          doctest::Approx(sum(x * autograd::pad_backward(g, size, p, mode)).item<double>()).epsilon(1e-9));
  }
}

TEST_CASE("pad: the same bits on any number of threads") {
  const Tensor x = randn({3, 21, 37, 41});
  const auto run = [&](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    const Tensor y = ops::pad(x, 7, {.mode = PadMode::reflect});
    const Tensor dx = ops::pad_backward(y, {37, 41}, 7, PadMode::reflect);
    set_num_threads(before);
    return std::pair{y.to_vector<float>(), dx.to_vector<float>()};
  };
  const auto one = run(1);
  CHECK(run(2) == one);
  CHECK(run(3) == one);
}

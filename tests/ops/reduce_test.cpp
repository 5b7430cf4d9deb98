// Sums, means, maxima over any axes of any layout; order of summation; positions of maxima.
#include "weft/tensor/ops/reduce.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/cpu/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

double plus(double a, double b) { return a + b; }
double larger_of(double a, double b) { return a > b ? a : b; }
constexpr double low = -1e300;

std::vector<int64_t> wide(const std::vector<int>& axes) { return {axes.begin(), axes.end()}; }

void add_row(OpTable& table, const std::string& name, const Shape& shape, const std::vector<int>& axes, bool keep) {
  const ReduceOptions options{.axes = wide(axes), .keep = keep};
  double count = 1;
  for (int i = 0; i < shape.rank(); ++i)
    if (axes.empty() || std::count(axes.begin(), axes.end(), i)) count *= static_cast<double>(shape[i]);
  table.op("sum").row(
      name, {input(shape)}, [=](const Tensors& v) { return sum(v[0], options); },
      [=](const Arrays& v) { return fold(v[0], axes, keep, 0, plus); }, {.slack = 10});
  table.op("mean").row(
      name, {input(shape)}, [=](const Tensors& v) { return mean(v[0], options); },
      [=](const Arrays& v) { return map(fold(v[0], axes, keep, 0, plus), [=](double x) { return x / count; }); },
      {.slack = 10});
  if (numel_of(shape) > 0)
    table.op("max").row(
        name, {input(shape).distinct()}, [=](const Tensors& v) { return weft::max(v[0], options); },
        [=](const Arrays& v) { return fold(v[0], axes, keep, low, larger_of); });
}

// The first position of the maximum along an axis.
Array naive_argmax(const Array& x, int axis) {
  Array y = fold(x, {axis}, true, low, larger_of);
  int64_t inner = 1;
  for (int i = axis + 1; i < x.shape.rank(); ++i) inner *= x.shape[i];
  for (int64_t k = 0; k < y.numel(); ++k) {
    const int64_t first = k / inner * inner * x.shape[axis] + k % inner;
    int64_t at = 0;
    while (x[first + at * inner] != y[k]) ++at;
    y[k] = static_cast<double>(at);
  }
  y.shape.erase(axis);
  return y;
}

const std::vector<DType> integer_dtypes = {DType::i64, DType::i32, DType::u8, DType::boolean};
const std::vector<DType> ordered_dtypes = {DType::f64, DType::f32, DType::f16, DType::bf16,
                                           DType::i64, DType::i32, DType::u8};

}  // namespace

OP_TABLE(reduce) {
  add_row(table, "everything", {3, 4, 5}, {}, false);
  add_row(table, "everything, kept", {3, 4, 5}, {}, true);
  add_row(table, "last axis", {6, 37}, {1}, false);
  add_row(table, "first axis", {37, 6}, {0}, true);
  add_row(table, "middle axis", {3, 7, 5}, {1}, false);
  add_row(table, "outer axes", {3, 4, 5}, {0, 2}, false);
  add_row(table, "per channel", {2, 5, 4, 6}, {0, 2, 3}, true);
  add_row(table, "over images", {3, 4, 2, 5}, {0}, false);
  add_row(table, "rank 0", {}, {}, false);
  add_row(table, "extent 1", {1, 5, 1}, {0}, false);
  add_row(table, "no elements left", {0, 4}, {1}, false);

  table.op("sum")
      .row(
          "nothing to sum", {input({0, 4})}, [](const Tensors& v) { return sum(v[0], {.axes = {0}}); },
          expected({4}, {0, 0, 0, 0}))
      .row(
          "integers", {input({7, 33}).integers()}, [](const Tensors& v) { return sum(v[0], {.axes = {0}}); },
          [](const Arrays& v) { return fold(v[0], {0}, false, 0, plus); },
          {.dtypes = integer_dtypes, .exact = true, .result = DType::i64, .no_gradient = "integers have none"})
      .row(
          "whole numbers", {input({9, 40}).integers()}, [](const Tensors& v) { return sum(v[0], {.axes = {1}}); },
          [](const Arrays& v) { return fold(v[0], {1}, false, 0, plus); }, {.exact = true})
      .error<IndexError>("axis", "sum: axis 2 is out of range for a tensor of rank 2",
                         [] {
                           sum(ones({2, 2}), {.axes = {2}});
                         })
      .error<IndexError>("twice", "sum: axis -1 is named twice", [] {
        sum(ones({2, 2}), {.axes = {1, -1}});
      });
  table.op("mean")
      .error<DtypeError>("integers", "mean: needs a floating dtype, got int64; …",
                         [] { mean(ones({2}, {.dtype = DType::i64})); })
      .error<IndexError>("axis", "mean: axis -3 is out of range …", [] {
        mean(ones({2, 2}), {.axes = {-3}});
      });
  table.op("max")
      .row(
          "integers", {input({7, 33}).integers(-20, 20)},
          [](const Tensors& v) { return weft::max(v[0], {.axes = {0}}); },
          [](const Arrays& v) { return fold(v[0], {0}, false, low, larger_of); },
          {.dtypes = ordered_dtypes, .exact = true, .no_gradient = "ties"})
      .row(
          "no elements left", {input({3, 0})}, [](const Tensors& v) { return weft::max(v[0], {.axes = {0}}); },
          [](const Arrays&) { return Array({0}); })
      .error<ShapeError>("nothing", "max: no elements along the reduced axes of shape [0, 3]",
                         [] {
                           weft::max(ones({0, 3}), {.axes = {0}});
                         })
      .error<DtypeError>("bool", "max: bool is not ordered here; …",
                         [] { weft::max(ones({2}, {.dtype = DType::boolean})); });
  table.op("sum_to")
      .row(
          "leading axes", {input({3, 4, 5})}, [](const Tensors& v) { return sum_to(v[0], {5}); },
          [](const Arrays& v) {
            return fold(v[0], {0, 1}, false, 0, plus);
          },
          {.slack = 10})
      .row(
          "widened axes", {input({3, 4, 5})},
          [](const Tensors& v) {
            return sum_to(v[0], {3, 1, 5});
          },
          [](const Arrays& v) { return fold(v[0], {1}, true, 0, plus); }, {.slack = 10})
      .row(
          "both", {input({2, 3, 4, 5})},
          [](const Tensors& v) {
            return sum_to(v[0], {3, 1, 1});
          },
          [](const Arrays& v) {
            Array y = fold(v[0], {0, 2, 3}, true, 0, plus);
            y.shape.erase(0);
            return y;
          },
          {.slack = 10})
      .row(
          "itself", {input({3, 4})},
          [](const Tensors& v) {
            return sum_to(v[0], {3, 4}) * 1;
          },
          [](const Arrays& v) { return v[0]; })
      .row(
          "no elements", {input({0, 4})}, [](const Tensors& v) { return sum_to(v[0], {4}); },
          expected({4}, {0, 0, 0, 0}))
      .error<ShapeError>("shape", "sum_to: shape [3] does not broadcast to [2, 1]", [] {
        sum_to(ones({2, 1}), {3});
      });
  for (int axis = 0; axis < 3; ++axis)
    table.op("argmax").row(
        "axis " + std::to_string(axis), {input({5, 6, 7}).integers(-9, 9).untracked()},
        [axis](const Tensors& v) { return argmax(v[0], axis); },
        [axis](const Arrays& v) { return naive_argmax(v[0], axis); },
        {.dtypes = ordered_dtypes, .exact = true, .result = DType::i64, .no_gradient = "positions have none"});
  table.op("argmax")
      .row(
          "classes", {input({2, 21, 4, 5}).distinct().untracked()}, [](const Tensors& v) { return argmax(v[0], 1); },
          [](const Arrays& v) { return naive_argmax(v[0], 1); },
          {.exact = true, .result = DType::i64, .no_gradient = "positions have none"})
      .row("no elements", {input({0, 5}).untracked()}, [](const Tensors& v) { return argmax(v[0], 1); },
           expected({0}, {}), {.result = DType::i64, .no_gradient = "positions have none"})
      .error<IndexError>("axis", "argmax: axis 2 is out of range …", [] {
        argmax(ones({2, 2}), 2);
      });
}

TEST_CASE("sum: bits do not depend on the number of threads, for rows, columns and everything") {
  const Tensor x = tensor(make_values(input({40, 70, 50, 6}).range(-1e3, 1e3), 9).values, {40, 70, 50, 6});
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const Tensor y = x.to(dtype), last = y.contiguous(Layout::channels_last);
    const std::vector<ReduceOptions> cases = {
        {}, {.axes = {0, 2, 3}}, {.axes = {1}}, {.axes = {3}}, {.axes = {0, 1, 2}}};
    for (const ReduceOptions& options : cases)
      for (const Tensor& z : {y, last}) {
        const cpu::TeamGuard one(1);
        const std::vector<double> alone = sum(z, options).to_vector<double>();
        for (const int team : {2, 3, 7}) {
          const cpu::TeamGuard several(team);
          CHECK(sum(z, options).to_vector<double>() == alone);
        }
      }
  }
}

TEST_CASE("sum: a million small terms keep their accuracy") {
  const int64_t n = 1 << 20;
  CHECK(sum(full({n}, 0.1f)).item<double>() == doctest::Approx(0.1f * double(n)).epsilon(5e-7));
  const Tensor columns = sum(full({n / 4, 4}, 0.1f), {.axes = {0}});
  for (const float v : columns.to_vector<float>()) CHECK(v == doctest::Approx(0.1f * double(n / 4)).epsilon(5e-7));
  CHECK(mean(full({n}, 3.0, {.dtype = DType::f16})).item<float>() == 3);  // the sum alone would overflow f16
  CHECK(sum(ones({n}, {.dtype = DType::boolean})).item<int64_t>() == n);
  CHECK(sum(full({n}, 255, {.dtype = DType::u8})).item<int64_t>() == 255 * n);
}

TEST_CASE("sum: NaN and infinities spread, means of nothing are NaN") {
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(std::isnan(sum(tensor({inf, -inf, 1.0f})).item<float>()));
  CHECK(sum(tensor({inf, 1.0f})).item<float>() == inf);
  CHECK(std::isnan(mean(zeros({0})).item<float>()));
  CHECK(sum(zeros({0})).item<float>() == 0);
}

TEST_CASE("sum: the result keeps the order of axes in memory") {
  const Tensor x = ones({2, 3, 4, 5}).contiguous(Layout::channels_last);
  const Tensor y = sum(x, {.axes = {0}});  // [C, H, W], C fastest
  CHECK(y.strides() == Strides{1, 15, 3});
  CHECK(sum(x, {.axes = {2}, .keep = true}).shape() == Shape{2, 3, 1, 5});
}

TEST_CASE("max: the first of equals, NaN before all, infinities, flat positions over several axes") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const auto first = [](const Tensor& x, const ReduceOptions& options) {
    Tensor index;
    ops::max(x, options, index);
    return index.to_vector<int64_t>();
  };
  CHECK(first(tensor({1.0f, 3.0f, 3.0f, 2.0f}), {}) == std::vector<int64_t>{1});
  CHECK(first(tensor({1.0f, nan, 3.0f, nan}), {}) == std::vector<int64_t>{1});
  CHECK(first(tensor({-inf, -inf}), {}) == std::vector<int64_t>{0});
  CHECK(std::isnan(weft::max(tensor({inf, nan})).item<float>()));
  const Tensor x = tensor({{1.0f, 5.0f, nan}, {5.0f, 2.0f, 9.0f}});
  CHECK(first(x, {.axes = {0}}) == std::vector<int64_t>{1, 0, 0});
  CHECK(first(x, {.axes = {1}}) == std::vector<int64_t>{2, 2});
  // In logical order, whatever the layout.
  Tensor image = zeros({1, 3, 4, 5}).contiguous(Layout::channels_last);
  image.slice(1, 1, 2).slice(2, 3, 4).slice(3, 4, 5).fill_(1);
  CHECK(first(image, {}) == std::vector<int64_t>{39});
  image.slice(1, 2, 3).fill_(1);
  CHECK(first(image, {.axes = {1, 2, 3}}) == std::vector<int64_t>{39});
  // Long rows, shared by threads.
  Tensor line = arange(0, 300000);
  line.slice(0, 123456, 123457).fill_(1e9);
  line.slice(0, 200000, 200001).fill_(1e9);
  for (const int team : {1, 4}) {
    const cpu::TeamGuard guard(team);
    CHECK(first(line, {}) == std::vector<int64_t>{123456});
  }
}

TEST_CASE("max: the gradient goes to one element each, in any layout") {
  Tensor x = ones({2, 3, 2}).attach_grad();
  {
    const autograd::Record record;
    sum(weft::max(x, {.axes = {0, 2}}) * tensor({1.0f, 2.0f, 3.0f})).backward();
  }
  CHECK(x.grad().to_vector<float>() == std::vector<float>{1, 0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0});
}

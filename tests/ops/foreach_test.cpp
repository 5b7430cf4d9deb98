// Operations on lists of tensors.
#include "weft/tensor/ops/foreach.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "tests/support/hooks.h"
#include "tests/support/op_table.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

Tensor fresh(const Tensor& x) { return x.detach().clone(); }  // dense, in the order of a dense x

Tensor axpby(const Tensors& v) {
  const Tensor y = fresh(v[0]);
  ops::foreach_axpby_({y}, 0.5, -2, {v[1].detach()});
  return y;
}
Array naive_axpby(const Arrays& v) {
  return zip(v[0], v[1], [](double y, double x) { return 0.5 * y - 2 * x; });
}
Tensor scale(const Tensors& v) {
  const Tensor y = fresh(v[0]);
  ops::foreach_scale_({y}, -1.5);
  return y;
}
Array naive_scale(const Arrays& v) {
  return map(v[0], [](double y) { return -1.5 * y; });
}
Array naive_squares(const Arrays& v) {
  double sum = 0;
  for (const Array& x : v)
    for (const double value : x.values) sum += value * value;
  return Array({}, {sum});
}
OpFunction clips(double max_norm) {
  return [max_norm](const Tensors& v) {
    const Tensors y = {fresh(v[0]), fresh(v[1])};
    ops::foreach_clip_norm_(y, max_norm);
    return y[0];
  };
}
Reference clipped(double max_norm) {
  return [max_norm](const Arrays& v) {
    const double factor = max_norm / (std::sqrt(naive_squares(v)[0]) + 1e-6);
    return map(v[0], [factor](double y) { return factor < 1 ? factor * y : y; });
  };
}

const RowOptions in_place{.no_gradient = "it changes values in place"};
const RowOptions whole{.exact = true, .no_gradient = "it changes values in place"};
const RowOptions norms{.result = DType::f64, .no_gradient = "it is not recorded"};

// Tensors of many sizes and two dtypes, some empty.
Tensors many(Device device) {
  Tensors list;
  for (int64_t i = 0; i < 230; ++i) {
    const int64_t n = i == 7 ? 20000 : i % 9 * (i % 13);
    std::vector<double> values(static_cast<size_t>(n));
    std::iota(values.begin(), values.end(), static_cast<double>(i % 5));
    for (double& value : values) value = std::fmod(value, 11) - 5;
    list.push_back(tensor(values, {n}, device).to(i % 3 ? DType::f32 : DType::f64));
  }
  return list;
}

}  // namespace

OP_TABLE(foreach) {
  table.op("foreach_axpby_")
      .row("matrix", {input({5, 60}).untracked(), input({5, 60}).untracked()}, axpby, naive_axpby, in_place)
      .row("whole numbers", {input({70}).integers().untracked(), input({70}).integers().untracked()}, axpby,
           naive_axpby, whole)
      .row("rank 0", {input({}).untracked(), input({}).untracked()}, axpby, naive_axpby, in_place)
      .row("no elements", {input({0, 3}).untracked(), input({0, 3}).untracked()}, axpby, naive_axpby, in_place)
      .error<ShapeError>("lists", "foreach_axpby_: lists of 1 and 2 tensors",
                         [] {
                           ops::foreach_axpby_({ones({2})}, 1, 1, {ones({2}), ones({2})});
                         })
      .error<ShapeError>("shapes", "foreach_axpby_: shapes [2] and [3] differ",
                         [] { ops::foreach_axpby_({ones({2})}, 1, 1, {ones({3})}); })
      .error<DtypeError>("dtypes", "foreach_axpby_: dtypes float32 and float64 differ; …",
                         [] { ops::foreach_axpby_({ones({2})}, 1, 1, {ones({2}, {.dtype = DType::f64})}); })
      .error<DtypeError>("integers", "foreach_axpby_: needs a floating dtype, got int64; …",
                         [] {
                           const Tensor x = ones({2}, {.dtype = DType::i64});
                           ops::foreach_axpby_({x}, 1, 1, {x});
                         })
      .error<DeviceError>("devices", "foreach_axpby_: operands on cpu:0 and cpu:1; …",
                          [] {
                            const Tensors y = {ones({2}), ones({2}, {.device = "cpu:1"})};
                            ops::foreach_axpby_(y, 1, 1, y);
                          })
      .error<ShapeError>("expanded", "foreach_axpby_: elements of the destination share memory …", [] {
        const Tensors y = {ones({2, 1}).expand({2, 2})};
        ops::foreach_axpby_(y, 1, 1, y);
      });
  table.op("foreach_scale_")
      .row("matrix", {input({5, 60}).untracked()}, scale, naive_scale, in_place)
      .row("no elements", {input({0}).untracked()}, scale, naive_scale, in_place)
      .error<ShapeError>("expanded", "foreach_scale_: elements of the destination share memory …", [] {
        ops::foreach_scale_({ones({1, 3}).expand({2, 3})}, 2);
      });
  table.op("foreach_squared_norm")
      .row("two tensors", {input({5, 60}).untracked(), input({7}).untracked()}, ops::foreach_squared_norm,
           naive_squares, norms)
      .row("no elements", {input({0, 2}).untracked()}, ops::foreach_squared_norm, naive_squares, norms)
      .error<DtypeError>("integers", "foreach_squared_norm: needs a floating dtype, got int64; …",
                         [] { ops::foreach_squared_norm({ones({2}, {.dtype = DType::i64})}); });
  table.op("foreach_clip_norm_")
      .row("clipped", {input({5, 60}).untracked(), input({7}).untracked()}, clips(2), clipped(2), in_place)
      .row("short enough", {input({6}).untracked(), input({7}).untracked()}, clips(100), clipped(100), in_place)
      .row("no elements", {input({0, 2}).untracked(), input({0}).untracked()}, clips(1), clipped(1), in_place)
      .error<Error>("norm", "foreach_clip_norm_: max_norm is 0; it must be positive",
                    [] { ops::foreach_clip_norm_({ones({2})}, 0); });
}

TEST_CASE("foreach: many tensors of two dtypes, some empty: each as alone") {
  for (const Device device : devices_to_test()) {
    const Tensors x = many(device), y = many(device);
    ops::foreach_axpby_(y, 2, 3, x);
    double squares = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const Array before = to_array(x[i]);
      CHECK(to_array(y[i]).values == map(before, [](double v) { return 5 * v; }).values);
      for (const double v : before.values) squares += v * v;
    }
    CHECK(ops::foreach_squared_norm(x).item<double>() == squares);  // whole numbers: exact
    ops::foreach_scale_(y, 0.5);
    CHECK(to_array(y[100]).values == map(to_array(x[100]), [](double v) { return 2.5 * v; }).values);
    const double norm = ops::foreach_clip_norm_(y, 10).item<double>();
    CHECK(norm == doctest::Approx(2.5 * std::sqrt(squares)).epsilon(1e-6));
    CHECK(std::sqrt(ops::foreach_squared_norm(y).item<double>()) == doctest::Approx(10).epsilon(1e-5));
  }
}

TEST_CASE("foreach: an empty list; versions advance; a pair that is one tensor; a transposed x") {
  ops::foreach_scale_({}, 2);
  CHECK(ops::foreach_squared_norm({}).item<double>() == 0);
  CHECK(ops::foreach_clip_norm_({}, 1).item<double>() == 0);
  const Tensor y = tensor({{1.0f, 2.0f}, {3.0f, 4.0f}});
  const uint32_t version = y.storage().version();
  ops::foreach_axpby_({y}, 1, 1, {y});
  CHECK(y.storage().version() == version + 1);
  CHECK(y.to_vector<float>() == std::vector<float>{2, 4, 6, 8});
  ops::foreach_axpby_({y}, 1, 1, {y.transpose()});
  CHECK(y.to_vector<float>() == std::vector<float>{4, 10, 10, 16});
}

TEST_CASE("foreach: tensors with gaps and other orders of dimensions; what lies between them stays") {
  for (const Device device : devices_to_test()) {
    const Tensor whole = ones({2, 4}, {.device = device}), part = whole.slice(1, 1, 3);
    const Tensor other = tensor({{1.0f, 2.0f}, {3.0f, 4.0f}}, device).transpose();
    const Tensor turned = other.clone();
    ops::foreach_axpby_({part, other}, 2, 1, {turned, ones({2, 2}, {.device = device})});
    CHECK(whole.to_vector<float>() == std::vector<float>{1, 3, 5, 1, 1, 4, 6, 1});
    CHECK(other.to_vector<float>() == std::vector<float>{3, 7, 5, 9});
    ops::foreach_scale_({part}, 2);
    CHECK(whole.to_vector<float>() == std::vector<float>{1, 6, 10, 1, 1, 8, 12, 1});
    CHECK(ops::foreach_clip_norm_({part}, 1).item<double>() == doctest::Approx(std::sqrt(36.0 + 100 + 64 + 144)));
    CHECK(whole.to_vector<float>()[0] == 1);
  }
}

TEST_CASE("foreach: a mismatch late in the lists changes nothing") {
  const Tensors y = {ones({2}), ones({3})};
  CHECK(throws<ShapeError>("…", [&] { ops::foreach_axpby_(y, 1, 1, {ones({2}), ones({2})}); }) == "");
  CHECK(y[0].to_vector<float>() == std::vector<float>{1, 1});
}

TEST_CASE("foreach: a norm that is not finite") {
  const float inf = std::numeric_limits<float>::infinity();
  for (const Device device : devices_to_test()) {
    const Tensors wrong = {tensor({1.0f, std::nanf("")}, device)}, endless = {tensor({1.0f, inf}, device)};
    CHECK(std::isnan(ops::foreach_clip_norm_(wrong, 1).item<double>()));
    CHECK(std::isnan(wrong[0].to_vector<float>()[0]));
    CHECK(ops::foreach_clip_norm_(endless, 1).item<double>() == std::numeric_limits<double>::infinity());
    CHECK(endless[0].to_vector<float>()[0] == 0);
  }
}

TEST_CASE("foreach: the same norm, to the bit, on any number of threads") {
  const Tensors x = {randn({300, 301}), randn({7}), randn({50000})};
  const double one = ops::foreach_squared_norm(x).item<double>();
  const int before = num_threads();
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    CHECK(ops::foreach_squared_norm(x).item<double>() == one);
  }
  set_num_threads(before);
}

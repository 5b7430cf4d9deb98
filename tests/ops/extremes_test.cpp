// Minima with their positions, any and all, over any axes of any layout.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/ops/reduction_cases.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/any_all.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/min.h"
#include "weft/autograd/record_scope.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double smaller_of(double a, double b) { return a < b ? a : b; }
double larger_of(double a, double b) { return a > b ? a : b; }
Input apart(const Shape& shape) { return input(shape).distinct(); }

const std::vector<DType> ordered_dtypes = {DType::f64, DType::f32, DType::f16, DType::bf16,
                                           DType::i64, DType::i32, DType::u8};

void add_min(OpTable& table) {
  Op& op = table.op("min");
  add_rows(
      op, [](const Tensor& x, const ReduceOptions& o) { return weft::min(x, o); },
      [](const Array& x, const ReduceCase& c) { return c.over(x, 1e300, smaller_of, c.keep); }, apart);
  op.row(
        "integers", {input({7, 33}).integers(-20, 20)}, [](const Tensors& v) { return weft::min(v[0], {.axes = {0}}); },
        [](const Arrays& v) { return fold(v[0], {0}, false, 1e300, smaller_of); },
        {.dtypes = ordered_dtypes, .exact = true, .no_gradient = "ties"})
      .error<ShapeError>("nothing", "min: no elements along the reduced axes of shape [0, 3]",
                         [] {
                           weft::min(ones({0, 3}), {.axes = {0}});
                         })
      .error<DtypeError>("bool", "min: bool is not ordered here; …",
                         [] { weft::min(ones({2}, {.dtype = DType::boolean})); });
  const RowOptions positions{
      .dtypes = ordered_dtypes, .exact = true, .result = DType::i64, .no_gradient = "positions have none"};
  table.op("argmin")
      .row(
          "columns", {input({5, 6, 7}).integers(-9, 9).untracked()}, [](const Tensors& v) { return argmin(v[0], 1); },
          [](const Arrays& v) {
            Array y({5, 7});
            for (int i = 0; i < 5; ++i)
              for (int j = 0; j < 7; ++j)
                for (int k = 1; k < 6; ++k)
                  if (v[0](i, k, j) < v[0](i, static_cast<int>(y(i, j)), j)) y(i, j) = k;
            return y;
          },
          positions)
      .row(
          "no elements", {input({0, 5}).untracked()}, [](const Tensors& v) { return argmin(v[0], 1); },
          expected({0}, {}), positions)
      .error<ShapeError>("nothing", "argmin: no elements along the reduced axes of shape [2, 0]",
                         [] {
                           argmin(ones({2, 0}), 1);
                         })
      .error<IndexError>("axis", "argmin: axis 2 is out of range …", [] {
        argmin(ones({2, 2}), 2);
      });
}

void add_any_all(OpTable& table) {
  const RowOptions bools{
      .dtypes = all_dtypes, .exact = true, .result = DType::boolean, .no_gradient = "yes and no have none"};
  const auto sparse = [](const Shape& shape) { return input(shape).integers(0, 1).untracked(); };
  add_rows(
      table.op("any"), [](const Tensor& x, const ReduceOptions& o) { return any(x, o); },
      [](const Array& x, const ReduceCase& c) {
        return c.over(map(x, [](double v) { return double(v != 0); }), 0, larger_of, c.keep);
      },
      sparse, bools);
  add_rows(
      table.op("all"), [](const Tensor& x, const ReduceOptions& o) { return all(x, o); },
      [](const Array& x, const ReduceCase& c) {
        return c.over(map(x, [](double v) { return double(v != 0); }), 1, smaller_of, c.keep);
      },
      sparse, bools);
  table.op("any").row(
      "of nothing", {input({0, 2}).untracked()}, [](const Tensors& v) { return any(v[0], {.axes = {0}}); },
      expected({2}, {0, 0}), bools);
  table.op("all").row(
      "of nothing", {input({0, 2}).untracked()}, [](const Tensors& v) { return all(v[0], {.axes = {0}}); },
      expected({2}, {1, 1}), bools);
}

}  // namespace

OP_TABLE(extremes) {
  add_min(table);
  add_any_all(table);
}

namespace {

std::vector<double> gradient_at(Tensor x) {
  x.attach_grad();
  const autograd::Record record;
  return autograd::grad({weft::min(x)}, {x})[0].to_vector<double>();
}

}  // namespace

TEST_CASE("min: first of equals, NaN, the ends of integer types") {
  const double nan = std::nan("");
  CHECK(std::isnan(weft::min(tensor({-infinity, nan})).item<double>()));
  CHECK(argmin(tensor({3.0, 1.0, 1.0}), 0).item<int64_t>() == 1);
  CHECK(argmin(tensor({3.0, nan, 1.0}), 0).item<int64_t>() == 1);
  CHECK(gradient_at(tensor({3.0, 1.0, 1.0})) == std::vector<double>{0, 1, 0});
  const int64_t lowest = std::numeric_limits<int64_t>::min();
  CHECK(weft::min(tensor({int64_t{0}, lowest, std::numeric_limits<int64_t>::max()})).item<int64_t>() == lowest);
  CHECK(argmin(tensor({int64_t{0}, lowest}), 0).item<int64_t>() == 1);
  CHECK(weft::min(tensor({200.0f, 0.0f, 255.0f}).to(DType::u8)).item<int>() == 0);
}

TEST_CASE("any, all: NaN is not 0") {
  CHECK(all(tensor({std::nan(""), 1.0})).item<bool>());
  CHECK(any(tensor({0.0, std::nan("")})).item<bool>());
}

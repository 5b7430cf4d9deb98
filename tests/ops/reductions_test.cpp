// Products, minima, any, all, variances, norms and logarithms of sums of exponentials over any axes of any layout.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/any_all.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/logsumexp.h"
#include "weft/autograd/ops/min.h"
#include "weft/autograd/ops/norm.h"
#include "weft/autograd/ops/prod.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/variance.h"
#include "weft/autograd/record_scope.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double plus(double a, double b) { return a + b; }
double times(double a, double b) { return a * b; }
double smaller_of(double a, double b) { return a < b ? a : b; }
double larger_of(double a, double b) { return a > b ? a : b; }

// What is reduced: a shape, its axes (none: all), and whether they are kept.
struct Case {
  const char* name;
  Shape shape;
  std::vector<int> axes;
  bool keep;

  ReduceOptions options() const { return {.axes = {axes.begin(), axes.end()}, .keep = keep}; }
  double count() const {
    double n = 1;
    for (int i = 0; i < shape.rank(); ++i)
      if (axes.empty() || std::count(axes.begin(), axes.end(), i)) n *= static_cast<double>(shape[i]);
    return n;
  }
  Array over(const Array& x, double start, double (*f)(double, double), bool keep_axes) const {
    return fold(x, axes, keep_axes, start, f);
  }
};

const Case cases[] = {
    {"everything", {3, 4, 5}, {}, false},     {"everything, kept", {3, 2, 4}, {}, true},
    {"last axis", {4, 13}, {1}, false},       {"first axis", {11, 6}, {0}, true},
    {"outer axes", {3, 4, 2}, {0, 2}, false}, {"per channel", {2, 3, 2, 4}, {0, 2, 3}, true},
    {"extent 1", {3, 1, 2}, {1}, false},      {"no elements left", {0, 4}, {1}, false},
};

using Function = std::function<Tensor(const Tensor&, const ReduceOptions&)>;
using Naive = std::function<Array(const Array&, const Case&)>;

void add_rows(Op& op, const Function& f, const Naive& naive, const std::function<Input(const Shape&)>& recipe,
              const RowOptions& options = {}) {
  for (const Case& c : cases)
    op.row(
        c.name, {recipe(c.shape)}, [f, c](const Tensors& v) { return f(v[0], c.options()); },
        [naive, c](const Arrays& v) { return naive(v[0], c); }, options);
  const std::string name = op.name;
  op.error<IndexError>("axis", name + ": axis 2 is out of range for a tensor of rank 2", [f] {
      f(ones({2, 2}), {.axes = {2}});
    }).error<IndexError>("twice", name + ": axis -1 is named twice", [f] {
    f(ones({2, 2}), {.axes = {1, -1}});
  });
}

void add_floating_error(Op& op, const Function& f) {
  op.error<DtypeError>("integers", op.name + ": needs a floating dtype, got int64; …",
                       [f] { f(ones({2}, {.dtype = DType::i64}), {}); });
}

Array variance_of(const Array& x, const Case& c, double correction) {
  const Array total = c.over(x, 0, plus, true);
  const Array d = zip(x, total, [&](double a, double s) { return (a - s / c.count()) * (a - s / c.count()); });
  return map(c.over(d, 0, plus, c.keep), [&](double s) { return s / std::max(0.0, c.count() - correction); });
}

Array naive_norm(const Array& x, const Case& c, double p) {
  const Array size = map(x, [p](double v) { return p == 2 ? v * v : std::abs(v); });
  const Array y = c.over(size, 0, p == infinity ? larger_of : plus, c.keep);
  return p == 2 ? map(y, [](double v) { return std::sqrt(v); }) : y;
}

Input any_values(const Shape& shape) { return input(shape); }
Input apart(const Shape& shape) { return input(shape).distinct(); }

const std::vector<DType> integer_dtypes = {DType::i64, DType::i32, DType::u8, DType::boolean};
const std::vector<DType> ordered_dtypes = {DType::f64, DType::f32, DType::f16, DType::bf16,
                                           DType::i64, DType::i32, DType::u8};

void add_min(OpTable& table) {
  Op& op = table.op("min");
  add_rows(
      op, [](const Tensor& x, const ReduceOptions& o) { return weft::min(x, o); },
      [](const Array& x, const Case& c) { return c.over(x, 1e300, smaller_of, c.keep); }, apart);
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
      [](const Array& x, const Case& c) {
        return c.over(map(x, [](double v) { return double(v != 0); }), 0, larger_of, c.keep);
      },
      sparse, bools);
  add_rows(
      table.op("all"), [](const Tensor& x, const ReduceOptions& o) { return all(x, o); },
      [](const Array& x, const Case& c) {
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

void add_prod(OpTable& table) {
  Op& op = table.op("prod");
  const Function f = [](const Tensor& x, const ReduceOptions& o) { return prod(x, o); };
  const Naive naive = [](const Array& x, const Case& c) { return c.over(x, 1, times, c.keep); };
  add_rows(op, f, naive, [](const Shape& shape) { return input(shape).range(0.8, 1.3); },
           {.slack = 16, .gradient_slack = 16});
  op.row(
        "with zeros", {input({3, 5}).values({0, 2, 3, 4, 5, 1, 0, 2, 0, 3, 1, 2, 3, 4, 5})},
        [](const Tensors& v) { return prod(v[0], {.axes = {1}}); },
        [](const Arrays& v) { return fold(v[0], {1}, false, 1, times); },
        {.dtypes = {DType::f64, DType::f32}, .exact = true})
      .row(
          "integers", {input({6, 7}).integers(-2, 2)}, [](const Tensors& v) { return prod(v[0], {.axes = {0}}); },
          [](const Arrays& v) { return fold(v[0], {0}, false, 1, times); },
          {.dtypes = integer_dtypes, .exact = true, .result = DType::i64, .no_gradient = "integers have none"})
      .row(
          "of nothing", {input({0, 2})}, [](const Tensors& v) { return prod(v[0], {.axes = {0}}); },
          expected({2}, {1, 1}));
}

void add_variance(OpTable& table) {
  for (const double correction : {1.0, 0.0}) {
    const auto options = [=](const ReduceOptions& o) {
      return VarianceOptions{.axes = o.axes, .keep = o.keep, .correction = correction};
    };
    for (const bool root : {false, true}) {
      Op& op = table.op(root ? "stddev" : "var");
      const Function f = [=](const Tensor& x, const ReduceOptions& o) {
        return root ? stddev(x, options(o)) : var(x, options(o));
      };
      for (const Case& c : cases) {
        if (c.count() == 1) continue;  // below
        op.row(
            std::string(c.name) + (correction == 1 ? "" : ", population"), {any_values(c.shape)},
            [=](const Tensors& v) { return f(v[0], c.options()); },
            [=](const Arrays& v) {
              return map(variance_of(v[0], c, correction), [=](double x) { return root ? std::sqrt(x) : x; });
            },
            {.slack = 4, .gradient_slack = 4});
      }
      if (correction == 0) continue;
      add_floating_error(op, f);
      op.error<IndexError>("axis", op.name + ": axis 3 is out of range …", [f] { f(ones({2, 2}), {.axes = {3}}); });
    }
  }
}

void add_norms(OpTable& table) {
  Op& op = table.op("norm");
  for (const double p : {1.0, 2.0, infinity}) {
    const Function f = [p](const Tensor& x, const ReduceOptions& o) {
      return norm(x, {.p = p, .axes = o.axes, .keep = o.keep});
    };
    for (const Case& c : cases)
      op.row(
          std::string(c.name) + (p == 1   ? ", p 1"
                                 : p == 2 ? ", p 2"
                                          : ", largest"),
          {apart(c.shape)}, [=](const Tensors& v) { return f(v[0], c.options()); },
          [=](const Arrays& v) { return naive_norm(v[0], c, p); }, {.slack = 4, .gradient_slack = 4});
    if (p == 2) add_floating_error(op, f);
  }
  op.error<Error>("p", "norm: p is 3; it is 1, 2, or infinity", [] { norm(ones({2}), {.p = 3}); })
      .error<IndexError>("axis", "norm: axis 1 is out of range …", [] { norm(ones({2}), {.axes = {1}}); })
      .error<ShapeError>("largest of none", "norm: no elements along the reduced axes of shape [0]",
                         [] { norm(ones({0}), {.p = infinity}); });
}

void add_logsumexp(OpTable& table) {
  Op& op = table.op("logsumexp");
  const Function f = [](const Tensor& x, const ReduceOptions& o) { return logsumexp(x, o); };
  const Naive naive = [](const Array& x, const Case& c) {
    return map(c.over(map(x, [](double v) { return std::exp(v); }), 0, plus, c.keep),
               [](double s) { return std::log(s); });
  };
  add_rows(op, f, naive, any_values, {.slack = 4, .gradient_slack = 4});
  add_floating_error(op, f);
}

}  // namespace

OP_TABLE(reductions) {
  add_min(table);
  add_any_all(table);
  add_prod(table);
  add_variance(table);
  add_norms(table);
  add_logsumexp(table);
}

namespace {

std::vector<double> gradient_of(const Tensor& at, const std::function<Tensor(const Tensor&)>& f) {
  const Tensor x = at.detach().attach_grad();
  const autograd::Record record;
  return autograd::grad({f(x)}, {x})[0].to_vector<double>();
}
using V = std::vector<double>;

}  // namespace

TEST_CASE("min: first of equals, NaN, the ends of integer types") {
  const double nan = std::nan("");
  CHECK(std::isnan(weft::min(tensor({-infinity, nan})).item<double>()));
  CHECK(argmin(tensor({3.0, 1.0, 1.0}), 0).item<int64_t>() == 1);
  CHECK(argmin(tensor({3.0, nan, 1.0}), 0).item<int64_t>() == 1);
  CHECK(gradient_of(tensor({3.0, 1.0, 1.0}), [](const Tensor& x) { return weft::min(x); }) == V{0, 1, 0});
  const int64_t lowest = std::numeric_limits<int64_t>::min();
  CHECK(weft::min(tensor({int64_t{0}, lowest, std::numeric_limits<int64_t>::max()})).item<int64_t>() == lowest);
  CHECK(argmin(tensor({int64_t{0}, lowest}), 0).item<int64_t>() == 1);
  CHECK(weft::min(tensor({200.0f, 0.0f, 255.0f}).to(DType::u8)).item<int>() == 0);
}

TEST_CASE("var, stddev: equal values, one value, none, large means") {
  CHECK(std::isnan(var(ones({1})).item<float>()));
  CHECK(var(ones({1}), {.correction = 0}).item<float>() == 0);
  CHECK(std::isnan(var(ones({0})).item<float>()));
  CHECK(gradient_of(full({4}, 3.0, {.dtype = DType::f64}), [](const Tensor& x) { return stddev(x); }) == V{0, 0, 0, 0});
  const Tensor x = tensor({1e6f, 1e6f + 1, 1e6f + 2, 1e6f + 3});
  CHECK(var(x).item<float>() == doctest::Approx(5.0 / 3));
  CHECK(var(full({70000}, 300, {.dtype = DType::f16})).item<float>() == 0);  // squares and sums are no f16
}

TEST_CASE("norm: zeros have gradient 0, the largest share theirs") {
  const Tensor zero = zeros({3}, {.dtype = DType::f64});
  for (const double p : {1.0, 2.0})
    CHECK(gradient_of(zero, [p](const Tensor& x) { return norm(x, {.p = p}); }) == V{0, 0, 0});
  CHECK(gradient_of(tensor({2.0, -2.0, 1.0, 2.0, -2.0}), [](const Tensor& x) { return norm(x, {.p = infinity}); }) ==
        V{0.25, -0.25, 0, 0.25, -0.25});
  CHECK(norm(full({100}, 300, {.dtype = DType::f16})).item<float>() == 3000);
  CHECK(std::isnan(norm(tensor({1.0, std::nan("")}), {.p = infinity}).item<double>()));
}

TEST_CASE("logsumexp: far from zero, infinities, nothing") {
  CHECK(logsumexp(tensor({1000.0, 1000.0})).item<double>() == doctest::Approx(1000 + std::log(2.0)));
  CHECK(logsumexp(tensor({-1000.0, -1001.0})).item<double>() == doctest::Approx(-1000 + std::log1p(std::exp(-1.0))));
  CHECK(logsumexp(tensor({-infinity, -infinity})).item<double>() == -infinity);
  CHECK(logsumexp(tensor({-infinity, 1.0})).item<double>() == 1);
  CHECK(logsumexp(tensor({infinity, 1.0})).item<double>() == infinity);
  CHECK(std::isnan(logsumexp(tensor({std::nan(""), 1.0})).item<double>()));
  CHECK(logsumexp(zeros({2, 0}), {.axes = {1}}).to_vector<double>() == V{-infinity, -infinity});
}

TEST_CASE("any, all: NaN is not 0; prod: never a view, a million factors") {
  CHECK(all(tensor({std::nan(""), 1.0})).item<bool>());
  CHECK(any(tensor({0.0, std::nan("")})).item<bool>());
  const Tensor x = tensor({2.0, 3.0});
  prod(x.reshape({2, 1}), {.axes = {1}}).fill_(7);
  CHECK(x.to_vector<double>() == V{2, 3});
  const int64_t n = 1000003;
  CHECK(prod(full({n}, 1 + 1e-6, {.dtype = DType::f64})).item<double>() ==
        doctest::Approx(std::exp(double(n) * std::log1p(1e-6))).epsilon(1e-9));
  CHECK(gradient_of(tensor({0.0, 2.0, 0.0, 3.0}), [](const Tensor& v) { return prod(v); }) == V{0, 0, 0, 0});
  CHECK(gradient_of(tensor({0.0, 2.0, 5.0, 3.0}), [](const Tensor& v) { return prod(v); }) == V{30, 0, 0, 0});
}

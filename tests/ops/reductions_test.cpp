// Products, variances, norms and logarithms of sums of exponentials over any axes of any layout.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/ops/reduction_cases.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/logsumexp.h"
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
double larger_of(double a, double b) { return a > b ? a : b; }

void add_floating_error(Op& op, const Reduce& f) {
  op.error<DtypeError>("integers", op.name + ": needs a floating dtype, got int64; …",
                       [f] { f(ones({2}, {.dtype = DType::i64}), {}); });
}

Array variance_of(const Array& x, const ReduceCase& c, double correction) {
  const Array total = c.over(x, 0, plus, true);
  const Array d = zip(x, total, [&](double a, double s) { return (a - s / c.count()) * (a - s / c.count()); });
  return map(c.over(d, 0, plus, c.keep), [&](double s) { return s / std::max(0.0, c.count() - correction); });
}

Array naive_norm(const Array& x, const ReduceCase& c, double p) {
  const Array size = map(x, [p](double v) { return p == 2 ? v * v : std::abs(v); });
  const Array y = c.over(size, 0, p == infinity ? larger_of : plus, c.keep);
  return p == 2 ? map(y, [](double v) { return std::sqrt(v); }) : y;
}

Input any_values(const Shape& shape) { return input(shape); }
Input apart(const Shape& shape) { return input(shape).distinct(); }

const std::vector<DType> integer_dtypes = {DType::i64, DType::i32, DType::u8, DType::boolean};
void add_prod(OpTable& table) {
  Op& op = table.op("prod");
  const Reduce f = [](const Tensor& x, const ReduceOptions& o) { return prod(x, o); };
  const NaiveReduce naive = [](const Array& x, const ReduceCase& c) { return c.over(x, 1, times, c.keep); };
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
      const Reduce f = [=](const Tensor& x, const ReduceOptions& o) {
        return root ? stddev(x, options(o)) : var(x, options(o));
      };
      for (const ReduceCase& c : reduce_cases) {
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
    const Reduce f = [p](const Tensor& x, const ReduceOptions& o) {
      return norm(x, {.p = p, .axes = o.axes, .keep = o.keep});
    };
    for (const ReduceCase& c : reduce_cases)
      op.row(
          std::string(c.name) + (p == 1   ? ", p 1"
                                 : p == 2 ? ", p 2"
                                          : ", largest"),
          {p == infinity ? any_values(c.shape) : apart(c.shape)},
          [=](const Tensors& v) { return f(v[0], c.options()); },
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
  const Reduce f = [](const Tensor& x, const ReduceOptions& o) { return logsumexp(x, o); };
  const NaiveReduce naive = [](const Array& x, const ReduceCase& c) {
    return map(c.over(map(x, [](double v) { return std::exp(v); }), 0, plus, c.keep),
               [](double s) { return std::log(s); });
  };
  add_rows(op, f, naive, any_values, {.slack = 4, .gradient_slack = 4});
  add_floating_error(op, f);
}

}  // namespace

OP_TABLE(reductions) {
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

TEST_CASE("prod: never a view, a million factors, zeros") {
  const Tensor x = tensor({2.0, 3.0});
  prod(x.reshape({2, 1}), {.axes = {1}}).fill_(7);
  CHECK(x.to_vector<double>() == V{2, 3});
  const int64_t n = 1000003;
  CHECK(prod(full({n}, 1 + 1e-6, {.dtype = DType::f64})).item<double>() ==
        doctest::Approx(std::exp(double(n) * std::log1p(1e-6))).epsilon(1e-9));
  CHECK(gradient_of(tensor({0.0, 2.0, 0.0, 3.0}), [](const Tensor& v) { return prod(v); }) == V{0, 0, 0, 0});
  CHECK(gradient_of(tensor({0.0, 2.0, 5.0, 3.0}), [](const Tensor& v) { return prod(v); }) == V{30, 0, 0, 0});
}

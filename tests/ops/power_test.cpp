// Powers and remainders of two tensors, what numbers are, and logic: special values and integers.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/record_scope.h"

using namespace weft;
using namespace weft::test;

namespace {

Reference by(double (*f)(double, double)) {
  return [f](const Arrays& v) { return zip(v[0], v[1], f); };
}

double naive_remainder(double a, double b) { return a - b * std::floor(a / b); }

void add_errors(Op& op, Tensor (*f)(const Tensor&, const Tensor&)) {
  op.error<ShapeError>("shapes", op.name + ": shapes [2, 3] and [4] do not broadcast …", [f] {
      f(ones({2, 3}), ones({4}));
    }).error<DeviceError>("devices", op.name + ": operands on cpu:0 and cpu:1; move one with .to(cpu:0)", [f] {
    f(ones({2}), ones({2}, {.device = "cpu:1"}));
  });
}

// Bases are positive; half of the exponents whole. Signs of remainders differ; quotients keep away from whole numbers.
void add_rows(OpTable& table) {
  Op& power = table.op("pow");
  const OpFunction positive_base = [](const Tensors& v) { return weft::pow(weft::abs(v[0]) + 0.5, v[1]); };
  const Reference naive_positive = by([](double a, double b) { return std::pow(std::abs(a) + 0.5, b); });
  const RowOptions steep{.slack = 4, .gradient_slack = 4};
  const std::pair<Shape, Shape> shapes[] = {{{2, 3, 4, 5}, {2, 3, 4, 5}},
                                            {{2, 3, 4, 5}, {3, 1, 1}},
                                            {{3, 1, 1}, {2, 3, 4, 5}},
                                            {{6, 37}, {37}},
                                            {{6, 37}, {6, 1}},
                                            {{4, 1, 3}, {5, 1}},
                                            {{4, 9}, {}},
                                            {{}, {}},
                                            {{0, 4}, {4}}};
  for (const auto& [a, b] : shapes)
    power.row("tensors of " + to_string(a) + " and " + to_string(b), {input(a), input(b)}, positive_base,
              naive_positive, steep);
  const auto of_tensors = [](const Tensors& v) { return weft::pow(v[0], v[1]); };
  const Reference naive = by([](double a, double b) { return std::pow(a, b); });
  power
      .row("whole exponents of negatives", {input({5, 7}).distinct(), input({7}).integers(0, 3).untracked()},
           of_tensors, naive, {.gradient_slack = 4})
      .row("tensors of integers", {input({3, 7}).integers(), input({3, 7}).integers(0, 4)}, of_tensors, naive,
           {.dtypes = {DType::i64, DType::i32}, .exact = true, .no_gradient = "integers have none"})
      .error<DtypeError>("bool", "pow: bool values are no numbers here; …",
                         [] { weft::pow(ones({2}, {.dtype = DType::boolean}), ones({2}, {.dtype = DType::boolean})); });
  Op& op = table.op("remainder");
  const auto f = [](const Tensors& v) { return weft::remainder(v[0], v[1]); };
  const Input a = input({6, 7}).distinct(), b = input({6, 1}).values({0.73, -0.73, 1.31, -1.31, 7.77, -7.77});
  op.row("both signs", {a, b}, f, by(naive_remainder), {.dtypes = {DType::f64, DType::f32}})
      .row("numbers of few digits", {input({6, 7}).integers(-9, 9), input({6, 1}).values({0.5, -0.5, 3, -3, 4, -4})}, f,
           by(naive_remainder), {.exact = true, .no_gradient = "quotients are whole"})
      .row("integers", {input({6, 7}).integers(-9, 9), input({6, 1}).values({2, -2, 3, -3, 4, -4})}, f,
           by(naive_remainder),
           {.dtypes = {DType::i64, DType::i32}, .exact = true, .no_gradient = "integers have none"})
      .row("no elements", {input({0, 3}), input({3})}, f, by(naive_remainder))
      .error<DtypeError>("bool", "remainder: bool values are no numbers here; …", [] {
        weft::remainder(ones({2}, {.dtype = DType::boolean}), ones({2}, {.dtype = DType::boolean}));
      });
  add_errors(power, weft::pow);
  add_errors(op, weft::remainder);
}

struct Test {
  const char* name;
  Tensor (*f)(const Tensor&);
  double (*naive)(double);
};
const Test tests[] = {
    {"isnan", weft::isnan, [](double x) { return double(x != x); }},
    {"isinf", weft::isinf, [](double x) { return double(std::isinf(x)); }},
    {"isfinite", weft::isfinite, [](double x) { return double(std::isfinite(x)); }},
    {"logical_not", logical_not, [](double x) { return double(x == 0); }},
};

}  // namespace

OP_TABLE(binary) {
  add_rows(table);
  const RowOptions bools{
      .dtypes = all_dtypes, .exact = true, .result = DType::boolean, .no_gradient = "a comparison has none"};
  for (const Test& t : tests) {
    const auto f = [t](const Tensors& v) { return t.f(v[0]); };
    const Reference naive = [t](const Arrays& v) { return map(v[0], t.naive); };
    const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
    RowOptions some = bools;
    some.dtypes = floating_dtypes;
    table.op(t.name)
        .row("numbers", {input({5, 9}).integers(-1, 1).untracked()}, f, naive, bools)
        .row("not numbers", {input({7}).values({inf, -inf, nan, 0, 1, -0.5, 60000}).untracked()}, f, naive, some)
        .row("no elements", {input({0, 4}).untracked()}, f, naive, bools)
        .row("rank 0", {input({}).untracked()}, f, naive, bools)
        .none(Cell::errors, "it takes everything");
  }
}

TEST_CASE("pow: gradients at zero bases and exponents are those of PyTorch") {
  Tensor a = tensor({0.0, 0.0, 0.0, 2.0, -2.0, 0.0}).attach_grad(),
         b = tensor({0.0, 2.0, 0.5, 0.0, 3.0, 1.0}).attach_grad();
  Tensors first;
  {
    const autograd::Record record;
    const Tensor c = weft::pow(a, b);
    CHECK(c.to_vector<double>() == std::vector<double>{1, 0, 0, 1, -8, 0});
    first = autograd::grad({sum(c)}, {a, b}, {.create_graph = true});
    // A base of 0 under a whole exponent is an ordinary polynomial's.
    const Tensor second = autograd::grad({sum(first[0])}, {a})[0];
    CHECK(second.to_vector<double>()[1] == 2);
    CHECK(second.to_vector<double>()[0] == 0);
  }
  const std::vector<double> da = first[0].to_vector<double>(), db = first[1].to_vector<double>();
  CHECK(da[0] == 0);
  CHECK(da[1] == 0);
  CHECK(std::isinf(da[2]));
  CHECK(da[3] == 0);
  CHECK(da[4] == 12);
  CHECK(da[5] == 1);
  for (const int i : {0, 1, 2, 5}) CHECK(db[static_cast<size_t>(i)] == 0);
  CHECK(db[3] == doctest::Approx(std::log(2.0)));
  CHECK(std::isnan(db[4]));
}

TEST_CASE("pow and remainder: integers") {
  const auto integers = [](std::vector<int64_t> v) { return tensor(v, {static_cast<int64_t>(v.size())}); };
  CHECK(weft::pow(integers({2, 1, -1, -1, 0, 3}), integers({-1, -5, -3, -4, -1, 39})).to_vector<int64_t>() ==
        std::vector<int64_t>{0, 1, -1, 1, 0, 4052555153018976267});
  CHECK(
      weft::remainder(integers({7, -7, 7, -7, 5, std::numeric_limits<int64_t>::min()}), integers({3, 3, -3, -3, 0, -1}))
          .to_vector<int64_t>() == std::vector<int64_t>{1, 2, -2, -1, 0, 0});
  const Tensor bytes = tensor({3.0f, 250.0f}).to(DType::u8);
  CHECK(weft::pow(bytes, tensor({6.0f, 2.0f}).to(DType::u8)).to_vector<int>() ==
        std::vector<int>{729 % 256, 62500 % 256});
  CHECK((bytes - 3).to_vector<int>() == std::vector<int>{0, 247});
}

TEST_CASE("logical operations take NaN and fractions for true") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = tensor({0.0f, -0.0f, 0.25f, nan});
  CHECK(logical_not(x).to_vector<uint8_t>() == std::vector<uint8_t>{1, 1, 0, 0});
  CHECK(logical_and(x, 1).to_vector<uint8_t>() == std::vector<uint8_t>{0, 0, 1, 1});
  CHECK(logical_xor(x, tensor({true, false, true, false})).to_vector<uint8_t>() == std::vector<uint8_t>{1, 0, 0, 1});
  CHECK(logical_or(tensor({int64_t{256}}), 0.0).item<bool>());
}

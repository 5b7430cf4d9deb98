// Every elementwise function of one operand: values, first and second gradients, special values, extents around
// vectors.
#include "weft/tensor/ops/unary.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/cpu/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

using Function = Tensor (*)(const Tensor&);

double normal(double x) { return 0.5 * (1 + std::erf(x / std::sqrt(2.0))); }

Reference by(double (*f)(double)) {
  return [f](const Arrays& v) { return map(v[0], f); };
}
OpFunction of(Function f) {
  return [f](const Tensors& v) { return f(v[0]); };
}

const std::vector<DType> signed_dtypes = {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32};
const std::vector<DType> number_dtypes = {DType::f64, DType::f32, DType::f16, DType::bf16,
                                          DType::i64, DType::i32, DType::u8};

// The rows that all functions share: a tensor of several vectors and a rest, rank 0, no elements, one dimension.
void add_rows(OpTable& table, const char* name, Function f, double (*reference)(double), const Input& recipe,
              const RowOptions& options = {}) {
  Input one = recipe, none = recipe, scalar = recipe;
  one.shape = {37};
  none.shape = {2, 0, 3};
  scalar.shape = {};
  table.op(name)
      .row("image", {recipe}, of(f), by(reference), options)
      .row("vector", {one}, of(f), by(reference), options)
      .row("rank 0", {scalar}, of(f), by(reference), options)
      .row("no elements", {none}, of(f), by(reference), options);
}

void add_errors(Op& op, Function f, bool numbers) {
  const std::string name = op.name;
  if (numbers) {
    op.error<DtypeError>("bool", name + ": bool is not a number here; …",
                         [f] { f(ones({3}, {.dtype = DType::boolean})); });
  } else {
    op.error<DtypeError>("integers", name + ": needs a floating dtype, got int64; …",
                         [f] { f(ones({3}, {.dtype = DType::i64})); });
  }
}

const Input image = input({2, 3, 5, 7});

const std::pair<const char*, Function> whole[] = {{"floor", weft::floor}, {"ceil", weft::ceil}, {"round", weft::round}};

}  // namespace

OP_TABLE(unary) {
  const Input kinked = image.distinct(), positive = image.positive();
  add_rows(
      table, "neg", neg, [](double x) { return -x; }, image);
  add_rows(
      table, "abs", abs, [](double x) { return std::abs(x); }, kinked);
  add_rows(
      table, "square", square, [](double x) { return x * x; }, image);
  add_rows(
      table, "reciprocal", reciprocal, [](double x) { return 1 / x; }, positive);
  add_rows(
      table, "sqrt", weft::sqrt, [](double x) { return std::sqrt(x); }, positive);
  add_rows(
      table, "rsqrt", rsqrt, [](double x) { return 1 / std::sqrt(x); }, positive);
  add_rows(
      table, "exp", weft::exp, [](double x) { return std::exp(x); }, image);
  add_rows(
      table, "log", weft::log, [](double x) { return std::log(x); }, positive);
  add_rows(
      table, "tanh", weft::tanh, [](double x) { return std::tanh(x); }, image);
  add_rows(
      table, "sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, image);
  add_rows(
      table, "relu", relu, [](double x) { return x > 0 ? x : 0; }, kinked);
  add_rows(
      table, "silu", silu, [](double x) { return x / (1 + std::exp(-x)); }, image);
  add_rows(
      table, "gelu", gelu, [](double x) { return x * normal(x); }, image);
  add_rows(
      table, "softplus", softplus, [](double x) { return std::log1p(std::exp(x)); }, image);
  add_rows(
      table, "pow", [](const Tensor& x) { return pow(x, 2.5); }, [](double x) { return std::pow(x, 2.5); }, positive);
  add_rows(
      table, "clamp", [](const Tensor& x) { return clamp(x, -0.52, 1.07); },
      [](double x) { return std::min(std::max(x, -0.52), 1.07); }, kinked);
  add_rows(
      table, "leaky_relu", [](const Tensor& x) { return leaky_relu(x, 0.25); },
      [](double x) { return x > 0 ? x : 0.25 * x; }, kinked);

  add_rows(
      table, "expm1", weft::expm1, [](double x) { return std::expm1(x); }, image);
  add_rows(
      table, "log1p", weft::log1p, [](double x) { return std::log1p(x); }, positive);
  add_rows(
      table, "sin", weft::sin, [](double x) { return std::sin(x); }, image);
  add_rows(
      table, "cos", weft::cos, [](double x) { return std::cos(x); }, image);
  add_rows(
      table, "erf", weft::erf, [](double x) { return std::erf(x); }, image);
  add_rows(
      table, "elu", [](const Tensor& x) { return elu(x, 1.5); },
      [](double x) { return x > 0 ? x : 1.5 * std::expm1(x); }, kinked);
  add_rows(
      table, "hard_swish", hard_swish, [](double x) { return x * std::min(std::max(x + 3, 0.0), 6.0) / 6; }, kinked);
  add_rows(
      table, "hard_sigmoid", hard_sigmoid, [](double x) { return std::min(std::max(x + 3, 0.0), 6.0) / 6; }, kinked);
  add_rows(
      table, "sign", sign, [](double x) { return x > 0   ? 1.0
                                                 : x < 0 ? -1.0
                                                         : 0.0; }, kinked);
  add_rows(
      table, "floor", weft::floor, [](double x) { return std::floor(x); }, kinked);
  add_rows(
      table, "ceil", weft::ceil, [](double x) { return std::ceil(x); }, kinked);
  add_rows(
      table, "round", weft::round, [](double x) { return std::nearbyint(x); }, kinked);

  for (const auto& [name, f] : whole)
    table.op(name).row("integers", {image.integers(-5, 5)}, of(f), by([](double x) { return x; }),
                       {.dtypes = number_dtypes, .exact = true, .no_gradient = "whole numbers are kinks"});
  table.op("sign").row("integers", {image.integers()}, of(sign), by([](double x) { return double(x > 0) - (x < 0); }),
                       {.dtypes = number_dtypes, .exact = true, .no_gradient = "0 is a kink"});
  table.op("round").row("halves", {input({6}).values({-2.5, -1.5, -0.5, 0.5, 1.5, 2.5})}, of(weft::round),
                        by([](double x) { return std::nearbyint(x); }),
                        {.exact = true, .no_gradient = "halves are kinks"});

  table.op("neg").row("integers", {image.integers()}, of(neg), by([](double x) { return -x; }),
                      {.dtypes = signed_dtypes, .exact = true});
  table.op("abs").row("integers", {image.integers(1, 5)}, of(abs), by([](double x) { return std::abs(x); }),
                      {.dtypes = number_dtypes, .exact = true});
  table.op("square").row("integers", {image.integers()}, of(square), by([](double x) { return x * x; }),
                         {.dtypes = number_dtypes, .exact = true});
  table.op("relu").row("integers", {image.integers(1, 5)}, of(relu), by([](double x) { return x > 0 ? x : 0; }),
                       {.dtypes = number_dtypes, .exact = true});
  table.op("pow")
      .row(
          "square", {image}, [](const Tensors& v) { return pow(v[0], 2); }, by([](double x) { return x * x; }))
      .row(
          "cube of negatives", {image}, [](const Tensors& v) { return pow(v[0], 3); },
          by([](double x) { return x * x * x; }))
      .row(
          "exponent 0", {image}, [](const Tensors& v) { return pow(v[0], 0); }, by([](double) { return 1.0; }))
      .row(
          "inverse", {positive}, [](const Tensors& v) { return pow(v[0], -1); }, by([](double x) { return 1 / x; }));

  for (const auto& [name, f] : whole) add_errors(table.op(name), f, true);
  add_errors(table.op("sign"), sign, true);
  table.op("elu").error<DtypeError>("integers", "elu: needs a floating dtype, got int64; …",
                                    [] { elu(ones({3}, {.dtype = DType::i64})); });
  for (Op* op : {&table.op("neg"), &table.op("abs"), &table.op("square"), &table.op("relu")})
    op->error<DtypeError>("bool", op->name + ": bool is not a number here; …", [op] {
      const Tensor x = ones({3}, {.dtype = DType::boolean});
      op->name == "neg" ? neg(x) : op->name == "abs" ? abs(x) : op->name == "square" ? square(x) : relu(x);
    });
  const std::pair<const char*, Function> floating[] = {{"reciprocal", reciprocal},
                                                       {"sqrt", weft::sqrt},
                                                       {"rsqrt", rsqrt},
                                                       {"exp", weft::exp},
                                                       {"log", weft::log},
                                                       {"tanh", weft::tanh},
                                                       {"sigmoid", sigmoid},
                                                       {"silu", silu},
                                                       {"gelu", gelu},
                                                       {"softplus", softplus},
                                                       {"expm1", weft::expm1},
                                                       {"log1p", weft::log1p},
                                                       {"sin", weft::sin},
                                                       {"cos", weft::cos},
                                                       {"erf", weft::erf},
                                                       {"hard_swish", hard_swish},
                                                       {"hard_sigmoid", hard_sigmoid}};
  for (const auto& [name, f] : floating) add_errors(table.op(name), f, false);
  table.op("pow").error<DtypeError>("integers", "pow_scalar: needs a floating dtype, got int32; …",
                                    [] { pow(ones({3}, {.dtype = DType::i32}), 2); });
  table.op("clamp").error<Error>("bounds", "clamp: bounds 2 and 1; …", [] { clamp(ones({3}), 2, 1); });
  table.op("leaky_relu").error<DtypeError>("integers", "leaky_relu: needs a floating dtype, got uint8; …", [] {
    leaky_relu(ones({3}, {.dtype = DType::u8}));
  });
}

TEST_CASE("unary: every line of the list has a recorded function with both gradients") {
  // The table above names functions one by one; this finds a line without rows.
#define WEFT_NAME(Functor, name, ...) #name,
  for (const char* name : {WEFT_UNARY_OPS(WEFT_NAME)}) {
    CAPTURE(std::string(name));
    bool found = false;
    for (const Op* op : all_ops()) found = found || op->name == name;
    CHECK(found);
  }
#undef WEFT_NAME
}

TEST_CASE("unary: special values") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = tensor({0.0f, -0.0f, inf, -inf, nan, 0x1p-140f, -0x1p-140f, 3e38f, -3e38f});
  const auto check = [&](const Tensor& y, std::initializer_list<double> expected) {
    CHECK(difference(to_array(y), Array({9}, std::vector<double>(expected)), {1e-6, 1e-45}) == "");
  };
  check(relu(x), {0, 0, inf, 0, nan, 0x1p-140, 0, 3e38, 0});
  check(weft::exp(x), {1, 1, inf, 0, nan, 1, 1, inf, 0});
  check(weft::log(abs(x)), {-inf, -inf, inf, inf, nan, -97.0406053, -97.0406053, 88.5969071, 88.5969071});
  check(sigmoid(x), {0.5, 0.5, 1, 0, nan, 0.5, 0.5, 1, 0});
  check(weft::tanh(x), {0, 0, 1, -1, nan, 0x1p-140, -0x1p-140, 1, -1});
  check(weft::sqrt(abs(x)), {0, 0, inf, inf, nan, 0x1p-70, 0x1p-70, 1.7320508e19, 1.7320508e19});
  check(clamp(x, -1, 1), {0, 0, 1, -1, nan, 0x1p-140, -0x1p-140, 1, -1});
  CHECK(std::signbit(abs(x).to_vector<float>()[1]) == false);
  check(weft::sin(x), {0, 0, nan, nan, nan, 0x1p-140, -0x1p-140, std::sin(double(3e38f)), -std::sin(double(3e38f))});
  check(weft::cos(x), {1, 1, nan, nan, nan, 1, 1, std::cos(double(3e38f)), std::cos(double(3e38f))});
  check(weft::expm1(x), {0, 0, inf, -1, nan, 0x1p-140, -0x1p-140, inf, -1});
  check(weft::log1p(abs(x)), {0, 0, inf, inf, nan, 0x1p-140, 0x1p-140, 88.5969071, 88.5969071});
  check(weft::log1p(-ones({9})), {-inf, -inf, -inf, -inf, -inf, -inf, -inf, -inf, -inf});
  check(weft::round(x), {0, 0, inf, -inf, nan, 0, 0, 3e38f, -3e38f});
  check(weft::floor(x), {0, 0, inf, -inf, nan, 0, -1, 3e38f, -3e38f});
  check(sign(x), {0, 0, 1, -1, nan, 1, -1, 1, -1});
  check(elu(x), {0, 0, inf, -1, nan, 0x1p-140, -0x1p-140, 3e38f, -1});
  check(hard_sigmoid(x), {0.5, 0.5, 1, 0, nan, 0.5, 0.5, 1, 0});
}

TEST_CASE("unary: bits depend neither on position nor on the number of threads") {
  const cpu::TeamGuard one(1);
  const Tensor x = tensor(make_values(input({100003}).range(-20, 20), 5).values, {100003}).to(DType::f32);
  const std::vector<float> whole = weft::tanh(x).to_vector<float>();
  const std::vector<float> tail = weft::tanh(x.slice(0, 99990, 100003).clone()).to_vector<float>();
  for (size_t i = 0; i < tail.size(); ++i) CHECK(tail[i] == whole[99990 + i]);
  const cpu::TeamGuard two(2);
  CHECK(weft::tanh(x).to_vector<float>() == whole);
}

TEST_CASE("unary: parameter operations keep a constant derivative and no operand") {
  Tensor x = tensor({1.0, 2.0, 3.0}).attach_grad();
  Tensor y;
  {
    const autograd::Record record;
    Tensor a = x + 0.0;
    y = sum(3 * (5 - a) / 2 - 1);
    a.detach().fill_(100);  // nothing that was recorded needs a's values
  }
  y.backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{-1.5, -1.5, -1.5});
}

TEST_CASE("unary: the gradient of steps is 0, whatever arrives; at kinks it is that of PyTorch") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const auto slope = [](const Tensor& at, auto f, const Tensor& dy) {
    Tensor x = at.detach().attach_grad();
    const autograd::Record record;
    return autograd::grad({f(x)}, {x}, {.head_grads = {dy}})[0].template to_vector<float>();
  };
  using V = std::vector<float>;
  const Tensor x = tensor({1.0f, -0.5f, 0.0f}), dy = tensor({inf, nan, 2.0f});
  for (const auto f : {weft::floor, weft::ceil, weft::round, sign}) CHECK(slope(x, f, dy) == V{0, 0, 0});
  const Tensor edges = tensor({-3.0f, 0.0f, 3.0f}), one = ones({3});
  CHECK(slope(edges, hard_sigmoid, one) == V{0, 1.0f / 6, 0});
  CHECK(slope(edges, hard_swish, one) == V{-0.5f, 0.5f, 1.5f});
  CHECK(slope(
            edges, [](const Tensor& v) { return elu(v, 2); }, one)[1] == 2);
}

TEST_CASE("unary: the third derivative is refused by name") {
  Tensor x = tensor({0.5}).attach_grad();
  CHECK(throws<AutogradError>("exp has no third derivative", [&] {
          const autograd::Record record;
          const Tensor first = autograd::grad({weft::exp(x)}, {x}, {.create_graph = true})[0];
          const Tensor second = autograd::grad({first}, {x}, {.create_graph = true})[0];
          autograd::grad({second}, {x}, {.create_graph = true});
        }) == "");
}
